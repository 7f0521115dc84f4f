"""Contract suites: what a store or a codec of anyone's must do, as tests to inherit. Needs pytest."""
