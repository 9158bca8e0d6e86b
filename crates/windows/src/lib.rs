//! Window operators and the single-threaded project executor.
