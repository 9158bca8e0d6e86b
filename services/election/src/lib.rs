//! Decides who leads each group, and in which term.
