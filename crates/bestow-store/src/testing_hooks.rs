//! Places where a test makes the database fail. Without a test they cost one load of an empty cell.

use std::sync::OnceLock;

/// A failure that a test asks for at a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing was committed; the caller is told that the outcome is unknown.
    BeforeCommit,
    /// Everything was committed; the caller is told that the outcome is unknown.
    AfterCommit,
}

type Plan = Box<dyn Fn(&'static str) -> Option<Fault> + Send + Sync>;

/// The failure switches of one store.
#[derive(Default)]
pub(crate) struct Hooks {
    plan: OnceLock<Plan>,
    #[cfg(feature = "testing")]
    silent: OnceLock<&'static [(&'static str, &'static str)]>,
}

impl Hooks {
    /// Asked once for each commit, with the name of its first piece of work.
    pub(crate) fn before_commit(&self, name: &'static str) -> Option<Fault> {
        self.plan.get().and_then(|plan| plan(name))
    }

    /// A transaction that changed something without an audit record has to be one of those that need none.
    ///
    /// # Panics
    /// Where it is not.
    #[cfg(feature = "testing")]
    pub(crate) fn check_audit(&self, name: &str) {
        let Some(silent) = self.silent.get() else {
            return;
        };
        assert!(
            silent.iter().any(|(known, _)| *known == name),
            "transaction {name} changed something and left no audit record"
        );
    }

    /// Sets which transactions need no audit record, once for the life of the store.
    #[cfg(feature = "testing")]
    pub(crate) fn set_silent(&self, silent: &'static [(&'static str, &'static str)]) {
        assert!(
            self.silent.set(silent).is_ok(),
            "a store takes one list of silent transactions"
        );
    }

    /// Sets the plan, once for the life of the store.
    #[cfg(feature = "testing")]
    pub(crate) fn set(&self, plan: Plan) {
        assert!(
            self.plan.set(plan).is_ok(),
            "a store takes one failure plan"
        );
    }
}
