"""What follows from every stimulus in every state and phase, as people read it.

A stimulus (with its variant) heads a block. Each line of the block: the rule, the state that the
newest controller is in afterwards (`=`: as before), and the situations in which that holds, by the
names of `situations.STORIES` or of a group. An account that nobody has claimed ignores all but a
claim, by the rule `unclaimed`.
"""

GROUPS = {
    "connecting": "waiting dialing pairing",
    "dials": "dialing pairing",
    "open": "connected live",
    "gaps": "gap held resting",
    "unopened": "connecting gaps",
    "alive": "unopened open",
    "ends": "logged_out conflict closed",
    "newest": "alive ends",
}
"""Situations that mostly go together; `superseded` stands for itself."""

SPECIFICATION = """
claimed
    claim.supersedes             connecting     alive superseded
    claim.after_end              connecting     ends
claimed again
    claim.reused                 =              newest superseded
socket_closed
    socket_closed.confirmed      =              unopened ends superseded
    close.transient.retry        reconnect_gap  open
socket_closed old
    socket_closed.confirmed      =              newest superseded
lease_lapsed
    lease_lapsed                 =              newest superseded
subject_erased
    subject_erased               =              newest superseded
archived
    archived                     =              newest superseded
opened
    opened.connected             connected      connecting
    opened.again                 =              open
    opened.reconnected           connected      gaps
    opened.after_end             =              ends
    late.opened                  =              superseded
opened old
    opened.connected             connected      waiting
    opened.stale                 =              gaps dials open
    opened.after_end             =              ends
    late.opened                  =              superseded
opened new
    opened.connected             connected      connecting
    opened.new_socket            =              open
    opened.reconnected           connected      gaps
    opened.after_end             =              ends
    late.opened                  =              superseded
closed 408
    close.ignored.waiting        =              waiting
    close.transient.retry        reconnect_gap  open dialing
    pairing.failed               closed         pairing
    close.ignored.gap            =              gaps
    close.ignored.ended          =              ends
    late.close                   =              superseded
closed 515
    close.ignored.waiting        =              waiting
    close.restart.retry          reconnect_gap  dials open
    close.ignored.gap            =              gaps
    close.ignored.ended          =              ends
    late.close                   =              superseded
closed 599
    close.ignored.waiting        =              waiting
    close.unknown.retry          reconnect_gap  open dialing
    pairing.failed               closed         pairing
    close.ignored.gap            =              gaps
    close.ignored.ended          =              ends
    late.close                   =              superseded
closed 402
    close.banned.hold            reconnect_gap  connecting open
    close.banned.hold            =              gaps
    close.ignored.ended          =              ends
    late.close                   =              superseded
closed 405
    close.outdated.hold          reconnect_gap  connecting open
    close.outdated.hold          =              gaps
    close.ignored.ended          =              ends
    late.close                   =              superseded
closed 411
    close.rejected               closed         alive
    close.ignored.ended          =              ends
    late.close                   =              superseded
closed 403
    close.forbidden              closed         alive
    close.ignored.ended          =              ends
    late.close                   =              superseded
closed 440
    close.ignored.waiting        =              waiting
    close.replaced.conflict      conflict       gaps dials open
    close.ignored.ended          =              ends
    late.replaced                =              superseded
closed 401
    close.logged_out             logged_out     alive
    close.ignored.ended          =              ends
    late.close                   =              superseded
closed old
    close.logged_out             logged_out     waiting
    close.late                   =              ends gaps dials open
    late.close                   =              superseded
closed same
    close.ignored.waiting        =              waiting
    close.transient.retry        reconnect_gap  open dialing
    pairing.failed               closed         pairing
    close.echo                   =              ends gap held
    close.ignored.gap            =              resting
    late.close                   =              superseded
dial_failed
    close.ignored.waiting        =              waiting
    close.transient.retry        reconnect_gap  dialing
    pairing.failed               closed         pairing
    close.late                   =              open
    close.ignored.gap            =              gaps
    close.ignored.ended          =              ends
    late.close                   =              superseded
stream_error
    close.ignored.waiting        =              waiting
    close.restart.retry          reconnect_gap  dials open
    close.ignored.gap            =              gaps
    close.ignored.ended          =              ends
    late.close                   =              superseded
worker_died
    close.ignored.waiting        =              waiting
    close.transient.retry        reconnect_gap  open dialing
    pairing.failed               closed         pairing
    close.ignored.gap            =              gaps
    close.ignored.ended          =              ends
    late.close                   =              superseded
replaced
    close.ignored.waiting        =              waiting
    close.replaced.conflict      conflict       gaps dials open
    close.ignored.ended          =              ends
    late.replaced                =              superseded
logged_out
    close.logged_out             logged_out     alive
    close.ignored.ended          =              ends
    late.close                   =              superseded
banned
    close.banned.hold            reconnect_gap  connecting open
    close.banned.hold            =              gaps
    close.ignored.ended          =              ends
    late.close                   =              superseded
outdated
    close.outdated.hold          reconnect_gap  connecting open
    close.outdated.hold          =              gaps
    close.ignored.ended          =              ends
    late.close                   =              superseded
keepalive_timeout
    keepalive.unopened           =              unopened ends
    keepalive.degraded           =              open
    late                         =              superseded
keepalive_restored
    keepalive.unopened           =              unopened ends
    keepalive.restored           =              open
    late                         =              superseded
activity
    activity.unopened            =              unopened ends
    activity.proof               =              open
    late                         =              superseded
silence
    silence.unopened             =              unopened ends
    silence.close                reconnect_gap  open
    late                         =              superseded
silence app
    silence.unopened             =              unopened ends
    silence.evidence             =              open
    late                         =              superseded
pairing_started
    pairing.started              =              connecting
    pairing.ignored              =              ends gaps open
    late                         =              superseded
paired
    pairing.paired               =              connecting
    pairing.window               =              gaps open
    pairing.ignored              =              ends
    late                         =              superseded
pairing_failed
    pairing.failed               closed         connecting
    pairing.ignored              =              ends gaps open
    late                         =              superseded
credentials_saved
    pairing.credentials_saved    =              newest
    late                         =              superseded
session_purged
    session.purge_unasked        =              alive conflict closed
    session.purged               =              logged_out
    late                         =              superseded
service_started
    service.started.connecting   =              connecting superseded
    service.started.retry        reconnect_gap  open
    service.started.gap          =              gaps
    service.started.ended        =              ends
service_started host-2
    service.other_holder         =              newest superseded
service_stopped
    service.stopped              reconnect_gap  connecting open superseded
    service.stopped              =              gaps
    service.stopped.ended        =              ends
timer_fired retry
    timer.stale                  =              connecting ends open held resting superseded
    retry.dial                   connecting     gap
timer_fired hold
    timer.stale                  =              connecting ends open gap resting superseded
    hold.dial                    connecting     held
timer_fired handover
    timer.stale                  =              newest superseded
timer_fired connect_deadline
    timer.stale                  =              ends gaps open waiting pairing superseded
    connect_deadline.retry       reconnect_gap  dialing
timer_fired pairing
    timer.stale                  =              ends gaps open waiting dialing superseded
    pairing.failed               closed         pairing
timer_fired stability
    timer.stale                  =              unopened ends superseded
    stability.reset              =              open
timer_fired silence
    timer.stale                  =              newest superseded
timer_fired gap_notice
    timer.stale                  =              connecting ends open resting superseded
    gap_notice.told              =              gap held
timer_fired send_deadline
    timer.stale                  =              connecting ends connected resting superseded
    reply.uncertain              =              live gap held
timer_fired resend
    timer.stale                  =              newest superseded
timer_fired reply_deadline
    timer.stale                  =              newest superseded
restart_requested monitor
    restart.refused.recovering   =              connecting gap resting
    restart.granted              reconnect_gap  open
    restart.refused.hold         =              held
    restart.refused.ended        =              ends
    restart.refused.superseded   =              superseded
restart_requested operator
    restart.granted              reconnect_gap  connecting open
    restart.granted              =              gap resting
    restart.refused.hold         =              held
    restart.refused.ended        =              ends
    restart.refused.superseded   =              superseded
stop_requested
    stop.closed                  closed         alive
    stop.ended                   =              ends
    late                         =              superseded
release_requested monitor
    release.refused.monitor      =              newest
    late                         =              superseded
release_requested
    release.refused.nothing_held =              connecting open gap resting logged_out closed
    release.hold                 connecting     held
    release.conflict             =              conflict
    late                         =              superseded
relink_requested monitor
    relink.refused.monitor       =              newest
    relink.refused.superseded    =              superseded
relink_requested
    relink.refused.alive         =              alive
    relink.granted               =              ends
    relink.refused.superseded    =              superseded
identity_observed
    identity.unopened            =              unopened ends
    identity.proven              =              open
    late                         =              superseded
identity_observed empty
    identity.empty               =              newest
    late                         =              superseded
identity_linked
    identity.linked              =              newest superseded
reply_submitted
    reply.held                   =              unopened connected superseded
    reply.sending                =              live
    reply.refused                =              ends
reply_submitted again
    reply.repeated               =              newest superseded
send_acked
    reply.answered_late          =              connecting ends connected resting superseded
    reply.sent                   =              live gap held
send_failed not_sent
    reply.answered_late          =              connecting ends connected resting superseded
    reply.resend                 =              live gap held
send_failed unknown
    reply.answered_late          =              connecting ends connected resting superseded
    reply.uncertain              =              live gap held
send_failed rejected
    reply.answered_late          =              connecting ends connected resting superseded
    reply.rejected               =              live gap held
reply_cancelled
    reply.cancel_ignored         =              ends gaps waiting live superseded
    reply.cancelled              =              dials connected
reply_submitted stranger
    reply.refused                =              newest superseded
"""
