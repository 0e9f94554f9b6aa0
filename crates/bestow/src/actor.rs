//! Who asks for something, and what they may.

/// A role: what a token may do. Each includes nothing of the others by itself; routes name those they take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads and runs the daily business: promotions, resume, replay.
    Operator,
    /// Releases what waits for a second person.
    Approver,
    /// Everything, tenants and tokens included.
    Admin,
    /// Reads, the audit included.
    Auditor,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Viewer,
        Self::Operator,
        Self::Approver,
        Self::Admin,
        Self::Auditor,
    ];

    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
        }
    }

    /// The role with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// The id under which the service itself acts.
pub(crate) const WORKER: &str = "worker";

/// The id of whoever shows the settings' own token.
pub(crate) const ADMIN_TOKEN: &str = "admin-token";

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// A token's id, `admin-token`, `cli`.
    pub id: String,
    /// What they may.
    pub role: Role,
    /// The one tenant they may see; `None`: all of them.
    pub tenant: Option<i64>,
}

impl Actor {
    /// The service itself, about its regular business.
    pub fn worker() -> Self {
        Self {
            id: WORKER.to_owned(),
            role: Role::Operator,
            tenant: None,
        }
    }

    /// Whoever has the database file under their hands.
    pub fn cli() -> Self {
        Self {
            id: "cli".to_owned(),
            role: Role::Admin,
            tenant: None,
        }
    }
}
