//! The decisions of Bestow: pure code without clock, randomness, I/O, SQL or HTTP.
