//! A stand-in for Optimove: the same wire, a virtual clock, fault switches and an oracle.
