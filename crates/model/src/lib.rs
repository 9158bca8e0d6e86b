//! Project XML to a checked model, with every problem of the file reported at once.
