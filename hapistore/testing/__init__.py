"""Contract suites: what a store, a codec or an executor of anyone's must do, as tests to inherit. Needs pytest."""
