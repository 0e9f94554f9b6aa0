//! Which customers of a campaign a list holds: all, those of some send groups, or the approved.
//!
//! A conditional campaign has one send group or several; a customer belongs to one of them for
//! good. A campaign that is not conditional counts as one group of which everyone is sent to.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::approval::Board;

/// Who of a send group counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    Nobody,
    Approved,
    Everyone,
}

/// A send group in a list: who of it counts, and how much later than planned it is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) share: Share,
    pub(crate) later: SignedDuration,
}

/// The customers that a list holds.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    parts: Vec<Part>,
    board: Option<Arc<Board>>,
}

impl Scope {
    /// All of a campaign without approvals, or none.
    pub(crate) fn whole(share: Share) -> Self {
        let later = SignedDuration::ZERO;
        Self {
            parts: vec![Part { share, later }],
            board: None,
        }
    }

    /// By send group; there is at least one.
    pub(crate) fn of_groups(parts: Vec<Part>, board: Arc<Board>) -> Self {
        Self {
            parts,
            board: Some(board),
        }
    }

    /// The send group of a customer, by position in a counted audience or by entry of a list.
    pub(crate) fn group_of(&self, unit: u64) -> usize {
        (unit % self.parts.len() as u64) as usize
    }

    /// How much later than planned a customer is sent to.
    pub(crate) fn later(&self, unit: u64) -> SignedDuration {
        self.parts[self.group_of(unit)].later
    }

    /// By how much each send group is later than planned.
    pub(crate) fn shifts(&self) -> impl Iterator<Item = SignedDuration> {
        self.parts.iter().map(|part| part.later)
    }

    /// As `shifts`, of the send groups of which somebody may count.
    pub(crate) fn sent_shifts(&self) -> impl Iterator<Item = SignedDuration> {
        let counting = self.parts.iter().filter(|part| part.share != Share::Nobody);
        counting.map(|part| part.later)
    }

    /// Who of each send group counts.
    pub(crate) fn shares(&self) -> Vec<Share> {
        self.parts.iter().map(|part| part.share).collect()
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.parts.iter().all(|part| part.share == Share::Everyone)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| part.share == Share::Nobody)
    }

    /// Whether a customer counts.
    pub(crate) fn holds(&self, unit: u64) -> bool {
        match self.parts[self.group_of(unit)].share {
            Share::Nobody => false,
            Share::Everyone => true,
            Share::Approved => {
                let board = self.board.as_ref();
                board.is_some_and(|board| board.is_approved(unit))
            }
        }
    }

    /// What keeps the approvals, if there are any.
    pub(crate) fn board(&self) -> Option<&Board> {
        self.board.as_deref()
    }
}
