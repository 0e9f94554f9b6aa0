//! Look-ups in the ledger that wait at the same time go to PostgreSQL as one statement.
//!
//! A few lanes, each with a connection of its own: one that is free takes all who wait, and asks for them together. So
//! who comes alone waits for nobody, and the more come the less each costs.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_postgres::{Client, Row, Statement};

use crate::grants::{self, LedgerRow};
use crate::pg_connect::{Connector, Role};
use crate::pg_error::{Failure, classify};
use crate::pg_types::Column;
use crate::{Error, Value, pairs};

/// Connections. While one statement runs, the next one fills.
const LANES: usize = 2;
/// Customers of one statement, at most.
const AT_ONCE_MAX: usize = 256;
/// Look-ups that may wait, at most. Whoever comes beyond it is told to come again.
const WAITING_MAX: usize = 65_536;
/// Tries of one statement: a connection may have been lost since it was used last.
const TRIES_MAX: u32 = 2;

/// A customer, and whoever waits for their rows.
struct Asked {
    tenant: i64,
    customer: String,
    answer: oneshot::Sender<Result<Vec<LedgerRow>, Error>>,
}

impl Asked {
    fn tell(self, found: Result<Vec<LedgerRow>, Error>) {
        // Who went away needs no answer.
        drop(self.answer.send(found));
    }
}

/// The lanes of one store. They end with the thread that does the input and output.
pub(crate) struct LookUps {
    queue: mpsc::Sender<Asked>,
}

impl LookUps {
    pub(crate) fn start(connector: &Connector) -> Self {
        let (queue, asked) = mpsc::channel(WAITING_MAX);
        let asked = Arc::new(Mutex::new(asked));
        for _ in 0..LANES {
            let lane = Lane {
                connector: connector.clone(),
                connection: None,
            };
            connector.spawn(lane.run(Arc::clone(&asked)));
        }
        Self { queue }
    }

    /// The rows of one customer, in the order of offers, as they are when this is asked or later.
    pub(crate) async fn rows(&self, tenant: i64, customer: &str) -> Result<Vec<LedgerRow>, Error> {
        let (answer, answered) = oneshot::channel();
        let asked = Asked {
            tenant,
            customer: customer.to_owned(),
            answer,
        };
        self.queue
            .try_send(asked)
            .map_err(|_| Error::Unavailable("too many look-ups wait".into()))?;
        let closing = |_| Error::Unavailable("the store is closing".into());
        answered.await.map_err(closing)?
    }
}

struct Lane {
    connector: Connector,
    /// None until it is needed, and after it was lost.
    connection: Option<(Client, Statement)>,
}

impl Lane {
    async fn run(mut self, queue: Arc<Mutex<mpsc::Receiver<Asked>>>) {
        let mut waiting = Vec::with_capacity(AT_ONCE_MAX);
        // Kept by one lane only until somebody comes: then the others have their turn.
        while queue
            .lock()
            .await
            .recv_many(&mut waiting, AT_ONCE_MAX)
            .await
            > 0
        {
            match self.look_up(&waiting).await {
                Ok(found) => {
                    for (asked, rows) in waiting.drain(..).zip(found) {
                        asked.tell(Ok(rows));
                    }
                }
                Err(error) => {
                    for asked in waiting.drain(..) {
                        asked.tell(Err(error.again()));
                    }
                }
            }
        }
    }

    /// The rows of each, in their order.
    async fn look_up(&mut self, asked: &[Asked]) -> Result<Vec<Vec<LedgerRow>>, Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            let (client, statement) = match self.connection.take() {
                Some(open) if !open.0.is_closed() => open,
                _ => self.connect().await?,
            };
            match ask(&client, &statement, asked).await {
                Ok(rows) => {
                    self.connection = Some((client, statement));
                    return grants::rows_of_each(&rows, asked.len());
                }
                Err(error) => match classify(pairs::LEDGER_ROWS_OF, &error) {
                    (Failure::Lost, _) if tries < TRIES_MAX => {}
                    (_, error) => return Err(error),
                },
            }
        }
    }

    async fn connect(&self) -> Result<(Client, Statement), Error> {
        let client = self.connector.open(Role::LooksUp).await?;
        let statement = client
            .prepare(pairs::LEDGER_ROWS_OF)
            .await
            .map_err(|e| classify(pairs::LEDGER_ROWS_OF, &e).1)?;
        Ok((client, statement))
    }
}

async fn ask(
    client: &Client,
    statement: &Statement,
    asked: &[Asked],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let rows: Vec<_> = asked
        .iter()
        .map(|one| [Value::Int(one.tenant), Value::Text(&one.customer)])
        .collect();
    let columns = [0, 1].map(|at| Column { rows: &rows, at });
    let found = client.query_raw(statement, &columns).await?;
    found.try_collect().await
}
