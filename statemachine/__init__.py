"""Pure decisions: states, stimuli, the transition table, policies, identity and replies."""
