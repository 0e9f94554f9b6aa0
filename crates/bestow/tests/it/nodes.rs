//! Several processes on one database: what one does the others know, and whatever becomes of each of them, together
//! they do everything once.

mod node;
mod rounds;
mod shared;
mod upgrade;
