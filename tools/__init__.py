"""What an operator runs: the command line, scenarios, the demo and the benchmarks."""
