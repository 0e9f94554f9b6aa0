//! What the ledger carries, each figure beside the bare database doing the same in the same run:
//!
//! `cargo bench -p bestow-store -- [ROWS]` (default 1,000,000)
//!
//! Raw is a sorted insert of the same grants on a connection with the store's own settings. Landing
//! takes the customers shuffled, as Optimove sends them; merging puts them in order. Look-ups go to
//! customers in an order that no cache foresees.
#![expect(
    clippy::disallowed_methods,
    reason = "a bench measures by the machine's own clock"
)]
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method of `Tx<'_>` by its name is not general enough for `Store::read`"
)]

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

use bestow_store::block::{Entry, Landing};
use bestow_store::campaigns::WindowSpec;
use bestow_store::imports::LandingPage;
use bestow_store::jobs::Job;
use bestow_store::merge::{MergeChunk, NewGrant, WindowRef};
use bestow_store::raw::RawDatabase;
use bestow_store::runs::{Group, Runs};
use bestow_store::{Clock, Connections, Error, Migrate, Options, Store};

/// Grants, unless told otherwise.
const ROWS_DEFAULT: u64 = 1_000_000;
/// Rows of a page, as Optimove gives them by default.
const PAGE_ROWS: u64 = 10_000;
/// Grants of a merge transaction.
const CHUNK_GRANTS: usize = 2_000;
/// Rows of a raw transaction.
const RAW_COMMIT_ROWS: usize = 10_000;
/// Look-ups of each kind.
const LOOKUPS: u64 = 200_000;
/// Moves through the customers in a stride that shares no factor with their number.
const STRIDE: u64 = 7_368_787;
/// How long claims last, in milliseconds.
const LEASE_MS: i64 = 60_000;
const TENANT: i64 = 1;
const CHANNEL: i64 = 504;

type Answer<T> = Result<T, Box<dyn StdError + Send + Sync>>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Answer<()> {
    // Cargo adds `--bench` to what it was told.
    let rows = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let rows = rows.map_or(Ok(ROWS_DEFAULT), |rows| rows.parse())?;
    let dir = tempfile::tempdir()?;
    let report = Report {
        out: std::io::stdout(),
    };

    let mut database = RawDatabase::create(&dir.path().join("raw.db"))?;
    let started = Instant::now();
    database.insert_grants((0..rows).map(customer), RAW_COMMIT_ROWS)?;
    let raw = report.rate("raw sorted insert", rows, started, None)?;

    let store = Store::open(
        &format!("sqlite:{}", dir.path().join("ledger.db").display()),
        &Options {
            clock: Clock::new(|| 1_700_000_000_000),
            migrate: Migrate::Apply,
            connections: Connections::default(),
        },
    )?;
    let campaign = Campaign::begin(&store).await?;

    let started = Instant::now();
    campaign.land(&store, rows).await?;
    report.rate("landing, shuffled", rows, started, Some(raw))?;

    let merging = Instant::now();
    campaign.merge(&store, rows).await?;
    report.rate("merging", rows, merging, Some(raw))?;
    report.rate("landing and merging", rows, started, Some(raw))?;
    if store.read::<_, Error>(|tx| tx.grants_total())? != rows {
        return Err("the ledger does not hold what landed".into());
    }

    report.lookups(&store, rows, raw_lookups(&dir.path().join("raw.db"), rows)?)
}

/// The customer with this number.
fn customer(number: u64) -> String {
    format!("C{number:09}")
}

/// Numbers below `rows`, each once, in an order far from sorted.
fn shuffled(place: u64, rows: u64) -> u64 {
    (place * STRIDE) % rows
}

/// A campaign that is being imported.
struct Campaign {
    no: i64,
    job: Job,
    offer: u32,
    window: u32,
}

impl Campaign {
    async fn begin(store: &Store) -> Result<Self, Error> {
        store
            .tx("begin", |tx| {
                let (no, _) = tx.see_campaign(TENANT, "5101", "scheduled", "bench")?;
                tx.want_import(TENANT, no, CHANNEL)?;
                tx.want_job(TENANT, "import", "5101", 0)?;
                let job = tx.claim_job(LEASE_MS)?.ok_or(Error::LeaseLost)?;
                tx.begin_pass(&job, no, CHANNEL, 1, PAGE_ROWS as u32)?;
                let window = WindowSpec {
                    starts_at: 1,
                    ends_at: Some(2),
                    action: 24,
                    channel: CHANNEL,
                    walls: bestow_store::campaigns::Walls::default(),
                };
                Ok(Self {
                    no,
                    job,
                    offer: tx.offer_for(TENANT, no, "fs20", "FS20", None)?.no,
                    window: tx.window_for(TENANT, no, &window)?,
                })
            })
            .await
    }

    async fn land(&self, store: &Store, rows: u64) -> Answer<()> {
        for skip in (0..rows).step_by(PAGE_ROWS as usize) {
            let (page, job, no) = (self.page(skip, rows), self.job.clone(), self.no);
            let landed: Result<_, Error> = store
                .bulk("land", move |tx| tx.land_page(&job, no, &page, LEASE_MS))
                .await;
            landed?.ok_or("the page had landed before")?;
        }
        Ok(())
    }

    fn page(&self, skip: u64, rows: u64) -> LandingPage {
        let mut landing = Landing::default();
        for place in skip..(skip + PAGE_ROWS).min(rows) {
            landing.push(Entry {
                customer: &customer(shuffled(place, rows)),
                offer: self.offer,
                window: self.window,
                mark: 0,
                row: (place - skip) as u32,
            });
        }
        let pairs = landing.len() as u64;
        let (blocks, customers) = landing.pack();
        LandingPage {
            channel: CHANNEL,
            pass: 1,
            skip,
            rows: pairs,
            rows_without_code: 0,
            pairs,
            customers,
            digest: vec![0; 32],
            blocks,
            held: Vec::new(),
        }
    }

    /// Reads the landed rows in order on one thread while the writer takes them in.
    async fn merge(&self, store: &Store, rows: u64) -> Answer<()> {
        let pages = rows.div_ceil(PAGE_ROWS) as u32;
        let (job, no) = (self.job.clone(), self.no);
        store
            .tx("begin_merge", move |tx| tx.begin_merge(&job, no, pages))
            .await
            .map_err(|error: Error| error)?;
        let (sender, mut chunks) = tokio::sync::mpsc::channel(2);
        let reader = store.clone();
        let reading = tokio::task::spawn_blocking(move || -> Result<(), Error> {
            let mut runs = Runs::open(&reader, TENANT, no, pages, None)?;
            while let Some(chunk) = next_chunk(&mut runs)? {
                if sender.blocking_send(chunk).is_err() {
                    break;
                }
            }
            Ok(())
        });
        while let Some(chunk) = chunks.recv().await {
            let (job, no) = (self.job.clone(), self.no);
            let merged: Result<bool, Error> = store
                .bulk("merge", move |tx| {
                    tx.merge_chunk(&job, no, &chunk, LEASE_MS)
                })
                .await;
            if !merged? {
                return Err("the chunk was merged before".into());
            }
        }
        Ok(reading.await??)
    }
}

fn next_chunk(runs: &mut Runs) -> Result<Option<MergeChunk>, Error> {
    let mut chunk = MergeChunk::default();
    let mut group = Group::default();
    while chunk.grants.len() < CHUNK_GRANTS && runs.next_group(&mut group)? {
        for entry in &group.entries {
            let start = chunk.text.len() as u32;
            chunk.text.push_str(group.customer(entry));
            chunk.grants.push(NewGrant {
                start,
                end: chunk.text.len() as u32,
                offer: entry.offer,
                window: WindowRef::Known(entry.window),
                page: entry.page,
            });
        }
        chunk.customers += 1;
        chunk.last_fold.clear();
        chunk.last_fold.push_str(group.fold());
    }
    Ok((!chunk.grants.is_empty()).then_some(chunk))
}

/// Seconds for the look-ups on the bare database: one statement, one row, nothing made of it.
fn raw_lookups(path: &std::path::Path, rows: u64) -> Answer<f64> {
    let connection = rusqlite::Connection::open(path)?;
    // As much as a reading connection of the store has.
    connection.pragma_update(None, "cache_size", -4_096)?;
    let mut find = connection
        .prepare("SELECT offer, window_no FROM grants WHERE tenant = ?1 AND customer = ?2")?;
    let mut seen = 0;
    let started = Instant::now();
    for place in 0..LOOKUPS {
        let mut found = find.query((TENANT, customer(shuffled(place, rows))))?;
        while let Some(row) = found.next()? {
            seen += u64::from(row.get::<_, u32>(0)?);
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    if seen == LOOKUPS {
        Ok(seconds)
    } else {
        Err("the bare database lost grants".into())
    }
}

/// A way to look a customer up; tells how many grants it found.
type Find = fn(&Store, &str) -> Result<usize, Error>;

/// Prints as it goes.
struct Report {
    out: std::io::Stdout,
}

impl Report {
    /// Rows per second since `started`, and how that compares with `raw`.
    fn rate(&self, name: &str, rows: u64, started: Instant, raw: Option<f64>) -> Answer<f64> {
        let rate = rows as f64 / started.elapsed().as_secs_f64();
        let mut line = format!("{name:<24} {rate:>12.0} rows/s");
        if let Some(raw) = raw {
            write!(line, "   {:>5.2} of raw", rate / raw)?;
        }
        self.line(&line)?;
        Ok(rate)
    }

    /// Each way to look a customer up, beside the bare one.
    fn lookups(&self, store: &Store, rows: u64, raw_seconds: f64) -> Answer<()> {
        let micros = |seconds: f64| seconds * 1e6 / LOOKUPS as f64;
        let raw = micros(raw_seconds);
        self.line(&format!("{:<24} {raw:>12.2} µs", "raw look-up"))?;
        let ways: [(&str, Find); 4] = [
            ("ledger_rows", |store, customer| {
                store
                    .peek(|tx| tx.ledger_rows(TENANT, customer))
                    .map(|rows| rows.len())
            }),
            ("grant", |store, customer| {
                store
                    .peek(|tx| tx.grant(TENANT, customer, 1))
                    .map(|grant| grant.iter().count())
            }),
            ("grants_for_code", |store, customer| {
                store
                    .peek(|tx| tx.grants_for_code(TENANT, customer, "fs20"))
                    .map(|grants| grants.len())
            }),
            ("customer_grants", |store, customer| {
                store
                    .peek(|tx| tx.customer_grants(TENANT, customer, 0, "", 100))
                    .map(|grants| grants.len())
            }),
        ];
        for (name, find) in ways {
            let started = Instant::now();
            for place in 0..LOOKUPS {
                if find(store, &customer(shuffled(place, rows)))? != 1 {
                    return Err("the ledger lost a grant".into());
                }
            }
            let took = micros(started.elapsed().as_secs_f64());
            self.line(&format!(
                "{name:<24} {took:>12.2} µs       {:>5.2} of raw",
                took / raw
            ))?;
        }
        Ok(())
    }

    fn line(&self, line: &str) -> Answer<()> {
        Ok(writeln!(&self.out, "{line}")?)
    }
}
