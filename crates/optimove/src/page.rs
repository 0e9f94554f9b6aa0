//! Paging with `$top` and `$skip`: which rows to ask for next, and when a list is at its end.
//!
//! Optimove gives no total, no cursor and no promised page size. So the next page starts after the
//! rows that were received, a short page is no proof of the end, and an empty page where rows were
//! to be expected is believed only when it is repeated after a wait.

/// Where a paged read stands. Pure: it neither fetches nor waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paging {
    top: u32,
    skip: u64,
    before: Before,
    /// Digest of the last page with rows.
    digest: Option<u64>,
}

/// What is known about the page before the one to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// There was none, in this run of the read.
    Nothing,
    /// It had as many rows as asked for, or as many as the one before it: more are to be expected.
    Full(usize),
    /// It had fewer rows.
    Short(usize),
    /// It was empty where rows were to be expected, and is being asked for again.
    Doubted,
}

/// What to do next in a paged read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask for this page.
    Fetch {
        /// `$top`
        top: u32,
        /// `$skip`
        skip: u64,
    },
    /// The page was empty where rows were to be expected: ask for it again after a wait.
    FetchAfterWait {
        /// `$top`
        top: u32,
        /// `$skip`
        skip: u64,
    },
    /// The list is complete.
    End,
}

/// The same page came twice although `$skip` moved on: the server ignores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the same page came again at row {skip}")]
pub struct NoProgress {
    /// The `$skip` of the repeated page.
    pub skip: u64,
}

impl Paging {
    /// A read from the first row, in pages of `top` rows (0 counts as 1).
    pub fn new(top: u32) -> Self {
        Self::resume(top, 0)
    }

    /// A read that goes on after `skip` rows.
    pub fn resume(top: u32, skip: u64) -> Self {
        Self {
            top: top.max(1),
            skip,
            before: Before::Nothing,
            digest: None,
        }
    }

    /// The page size asked for.
    pub fn top(&self) -> u32 {
        self.top
    }

    /// How many rows have been received; the `$skip` of the next page.
    pub fn skip(&self) -> u64 {
        self.skip
    }

    /// Takes note of the page that was asked for last: its number of rows and a digest of it.
    pub fn on_page(&mut self, rows: usize, digest: u64) -> Result<Next, NoProgress> {
        if rows == 0 {
            return Ok(self.on_empty_page());
        }
        if self.digest == Some(digest) {
            return Err(NoProgress { skip: self.skip });
        }
        // A server with a limit below `top` sends pages of one size: those are full pages too.
        let like_before = match self.before {
            Before::Full(last) | Before::Short(last) => rows >= last,
            Before::Nothing | Before::Doubted => false,
        };
        let full = rows as u64 >= u64::from(self.top) || like_before;
        self.before = if full {
            Before::Full(rows)
        } else {
            Before::Short(rows)
        };
        self.digest = Some(digest);
        self.skip = self.skip.saturating_add(rows as u64);
        Ok(Next::Fetch {
            top: self.top,
            skip: self.skip,
        })
    }

    fn on_empty_page(&mut self) -> Next {
        match self.before {
            Before::Short(_) | Before::Doubted => Next::End,
            Before::Nothing | Before::Full(_) => {
                self.before = Before::Doubted;
                Next::FetchAfterWait {
                    top: self.top,
                    skip: self.skip,
                }
            }
        }
    }
}
