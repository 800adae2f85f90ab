"""The replay: recorded stimuli through today's code, compared with what was decided then."""
