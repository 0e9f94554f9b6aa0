//! What the tests share: a fresh database, a campaign that is being read, pages and
//! chunks made by hand.

use bestow_core::id::fold_customer;
use bestow_store::block::{Entry, Landing};
use bestow_store::campaigns::WindowSpec;
use bestow_store::imports::LandingPage;
use bestow_store::jobs::Job;
use bestow_store::merge::{MergeChunk, NewGrant, WindowRef};
#[cfg(feature = "postgres-tests")]
use bestow_store::spread::{Engine, Spread};
use bestow_store::testing::TempStore;
use bestow_store::{Error, Store, Tx};

/// Where each test's clock starts, in milliseconds since 1970 UTC.
pub(crate) const NOW_MS: i64 = 1_700_000_000_000;
/// How long claims last in tests.
pub(crate) const LEASE_MS: i64 = 60_000;
/// The tenant that most tests work for.
pub(crate) const TENANT: i64 = 1;
/// The channel that most tests read.
pub(crate) const CHANNEL: i64 = 504;

/// Into how many pieces the tables of tests are cut.
#[cfg(feature = "postgres-tests")]
pub(crate) const SHARDS: u16 = 3;

/// A database of its own for one test, with a way past the store to damage it or to look at it.
pub(crate) struct Fresh {
    pub(crate) db: TempStore,
}

/// A fresh SQLite database.
pub(crate) fn sqlite() -> Fresh {
    let db = TempStore::new(NOW_MS).expect("a fresh database opens");
    Fresh { db }
}

/// Where the server for tests is.
#[cfg(feature = "postgres-tests")]
pub(crate) fn server() -> String {
    std::env::var("BESTOW_TEST_POSTGRES_URL").expect(
        "these tests need PostgreSQL: run `cargo xtask test`, which starts one, \
         or name one in BESTOW_TEST_POSTGRES_URL",
    )
}

/// A fresh PostgreSQL database.
#[cfg(feature = "postgres-tests")]
pub(crate) fn postgres() -> Fresh {
    let db = TempStore::postgres(&server(), NOW_MS).expect("a fresh database opens");
    Fresh { db }
}

/// A fresh PostgreSQL database whose tables are hash partitions, as over so many shards.
#[cfg(feature = "postgres-tests")]
pub(crate) fn partitions() -> Fresh {
    let spread = Spread::new(Engine::Partitions, SHARDS).expect("so many may be");
    let db = TempStore::spread(&server(), spread, NOW_MS).expect("a fresh database opens");
    Fresh { db }
}

impl Fresh {
    pub(crate) fn store(&self) -> &Store {
        &self.db.store
    }

    /// Runs a transaction that must succeed.
    pub(crate) async fn tx<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> T {
        self.try_tx(work).await.expect("the transaction succeeds")
    }

    /// Runs a transaction that may fail.
    pub(crate) async fn try_tx<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.store().tx("test", work).await
    }

    pub(crate) fn read<T>(&self, work: impl FnOnce(&mut Tx<'_>) -> Result<T, Error>) -> T {
        self.store().read(work).expect("the read succeeds")
    }

    /// Changes rows behind the store's back.
    pub(crate) fn plant(&self, sql: &str) {
        let changed = self.db.raw(sql).expect("a planted change");
        assert!(changed > 0, "nothing was planted by {sql}");
    }

    /// Asks for one number behind the store's back.
    pub(crate) fn ask(&self, sql: &str) -> i64 {
        self.db.raw(sql).expect("a question to the database")
    }

    /// A counter of a campaign of [`TENANT`]; 0 where it was never counted.
    pub(crate) fn count(&self, campaign: i64, counter: &str) -> i64 {
        let counts = self.read(|tx| tx.counts(TENANT, campaign));
        counts
            .iter()
            .find(|(name, _)| name == counter)
            .map_or(0, |(_, n)| *n)
    }
}

/// A campaign with one offer that grants; its import has begun the first pass under a claimed job.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) job: Job,
    pub(crate) campaign: i64,
    pub(crate) offer: u32,
    pub(crate) window: u32,
}

/// The window that [`reading`] makes.
pub(crate) const WINDOW: WindowSpec = WindowSpec {
    starts_at: NOW_MS,
    ends_at: Some(NOW_MS + 86_400_000),
    action: 24,
    channel: CHANNEL,
    walls: bestow_store::campaigns::Walls {
        starts: None,
        ends: None,
    },
};

/// Begins to read the campaign `id` of [`TENANT`].
pub(crate) async fn reading(fresh: &Fresh, id: &str) -> Reading {
    let id = id.to_owned();
    fresh
        .tx(move |tx| {
            let (campaign, _) = tx.see_campaign(TENANT, &id, "scheduled", "notification")?;
            tx.want_import(TENANT, campaign, CHANNEL)?;
            tx.want_job(TENANT, "import", &id, 0)?;
            let job = tx.claim_job(LEASE_MS)?.expect("the job is due");
            tx.begin_pass(&job, campaign, CHANNEL, 1, 1_000)?;
            let offer = tx.offer_for(TENANT, campaign, "fs20", "FS20", None)?.no;
            let window = tx.window_for(TENANT, campaign, &WINDOW)?;
            Ok(Reading {
                job,
                campaign,
                offer,
                window,
            })
        })
        .await
}

impl Reading {
    /// A page of the first pass that names these customers, each with the campaign's offer.
    pub(crate) fn page(&self, skip: u64, customers: &[&str]) -> LandingPage {
        let mut landing = Landing::default();
        for (row, customer) in customers.iter().enumerate() {
            landing.push(Entry {
                customer,
                offer: self.offer,
                window: self.window,
                mark: 0,
                row: row as u32,
            });
        }
        packed(skip, customers.len() as u64, landing)
    }

    /// A chunk that grants the campaign's offer to these customers, in this order.
    pub(crate) fn chunk(&self, customers: &[&str]) -> MergeChunk {
        let mut chunk = MergeChunk {
            counts: vec![("pairs".into(), customers.len() as i64)],
            customers: customers.len() as u64,
            ..MergeChunk::default()
        };
        for customer in customers {
            let grant = self.grant(&mut chunk, customer);
            chunk.grants.push(grant);
            chunk.last_fold = fold_customer(customer).into_owned();
        }
        chunk
    }

    /// One grant of the campaign's offer, its customer written into the chunk.
    pub(crate) fn grant(&self, chunk: &mut MergeChunk, customer: &str) -> NewGrant {
        let start = chunk.text.len() as u32;
        chunk.text.push_str(customer);
        NewGrant {
            start,
            end: chunk.text.len() as u32,
            offer: self.offer,
            window: WindowRef::Known(self.window),
            page: 1,
        }
    }

    /// Lands a page; its number, or `None` where it had landed.
    pub(crate) async fn land(&self, fresh: &Fresh, page: &LandingPage) -> Option<u32> {
        let (this, page) = (self.clone(), page.clone());
        fresh
            .tx(move |tx| tx.land_page(&this.job, this.campaign, &page, LEASE_MS))
            .await
    }

    /// Merges one chunk as the whole campaign: begins, grants, ends.
    pub(crate) async fn merge(&self, fresh: &Fresh, chunk: MergeChunk) {
        let this = self.clone();
        fresh
            .tx(move |tx| {
                tx.begin_merge(&this.job, this.campaign, 1)?;
                assert!(tx.merge_chunk(&this.job, this.campaign, &chunk, LEASE_MS)?);
                tx.end_merge(&this.job, this.campaign)
            })
            .await;
    }
}

/// A page of the first pass made of packed entries.
pub(crate) fn packed(skip: u64, rows: u64, landing: Landing) -> LandingPage {
    let pairs = landing.len() as u64;
    let (blocks, customers) = landing.pack();
    LandingPage {
        channel: CHANNEL,
        pass: 1,
        skip,
        rows,
        rows_without_code: 0,
        pairs,
        customers,
        digest: vec![7; 32],
        blocks,
        held: Vec::new(),
    }
}

/// Starts all of them at once and waits for all of them.
pub(crate) async fn at_once<T: Send + 'static>(
    count: usize,
    work: impl Fn(usize) -> futures::Boxed<T>,
) -> Vec<T> {
    let tasks: Vec<_> = (0..count).map(|place| tokio::spawn(work(place))).collect();
    let mut answers = Vec::with_capacity(count);
    for task in tasks {
        answers.push(task.await.expect("no task panics"));
    }
    answers
}

/// Futures without a type to name.
pub(crate) mod futures {
    use std::pin::Pin;

    pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
}
