//! What several processes with one credential have in common.
//!
//! Optimove counts calls and logins by credential, not by process. Where several processes use one,
//! each call asks here for its place, and a session token is looked for here before anybody logs in.

use std::fmt::Debug;
use std::pin::Pin;

use crate::error::Error;
use crate::secret::Secret;

/// An answer that takes a while.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The other processes that use the same credential.
pub trait Peers: Debug + Send + Sync {
    /// Waits for a place in the calls of all processes. One caller asks at a time: the most urgent.
    ///
    /// The call is sent at once, or the place is given up. [`Error::Peers`] where nobody can tell.
    fn place(&self) -> Waiting<'_, Result<Place, Error>>;

    /// A session token other than `expired`, or the right to log in for one.
    ///
    /// Waits while another process logs in, and until a login may come. [`Error::LoginRefused`]
    /// where one was refused lately; [`Error::Peers`] where nobody can tell.
    fn session<'a>(&'a self, expired: Option<&'a Secret>) -> Waiting<'a, Result<Session, Error>>;
}

/// A place in the calls of all processes. Kept until the answer is complete, then dropped.
pub struct Place(#[expect(dead_code, reason = "only its drop matters")] Box<dyn Send + Sync>);

impl Place {
    /// Ends with `held`.
    pub fn new(held: impl Send + Sync + 'static) -> Self {
        Self(Box::new(held))
    }
}

impl Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Place")
    }
}

/// How to come by a session token.
pub enum Session {
    /// It is there.
    Token(Secret),
    /// This process logs in, and nobody else meanwhile.
    LogIn(Box<dyn LoginTurn>),
}

/// The right to log in once.
pub trait LoginTurn: Send {
    /// Says how it went, and lets others go on. Without it they wait until this process is gone.
    fn end(self: Box<Self>, outcome: Result<Secret, Error>) -> Waiting<'static, Result<(), Error>>;
}
