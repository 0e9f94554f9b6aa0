//! Spreading the tables over shards: which rows stay together, told once, and said in the words of each engine.
//!
//! A row is found by its tenant and, where there are many of them, its customer or campaign. Every unique key of a
//! table holds those columns, so no key has to be looked at on two shards. Hash partitions of one PostgreSQL stand in
//! for shards in the tests; the words of the other engines are written from their manuals (decision 0210).

use std::fmt;
use std::str::FromStr;

use crate::schema::{Table, tables};
use crate::{Error, Store};

/// Shards of a table, at most.
pub const PIECES_MAX: u16 = 512;

/// What spreads tables over machines, or over the partitions of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Hash partitions of PostgreSQL itself: one machine, the same shape.
    Partitions,
    /// PostgreSQL with the extension Citus.
    Citus,
    /// `YugabyteDB`.
    Yugabyte,
    /// `CockroachDB`.
    Cockroach,
}

impl Engine {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Partitions,
        Self::Citus,
        Self::Yugabyte,
        Self::Cockroach,
    ];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Partitions => "partitions",
            Self::Citus => "citus",
            Self::Yugabyte => "yugabyte",
            Self::Cockroach => "cockroach",
        }
    }
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|engine| engine.name() == text);
        known.ok_or_else(|| "write partitions, citus, yugabyte or cockroach".to_owned())
    }
}

/// Which rows of a table stay together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Those of one customer of one tenant.
    Customer,
    /// Those of one campaign of one tenant.
    Campaign,
    /// Those of one tenant.
    Tenant,
    /// All, with a copy on every node: small, read for every tenant, seldom written.
    Everywhere,
    /// All, on one node: small, asked for over all tenants, written all the time.
    Home,
}

impl Place {
    /// The columns that tell where a row is.
    pub const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Customer => &["tenant", "customer"],
            Self::Campaign => &["tenant", "campaign"],
            Self::Tenant => &["tenant"],
            Self::Everywhere | Self::Home => &[],
        }
    }
}

/// Tables that are not simply together by tenant.
const PLACES: [(&str, Place); 18] = [
    ("grants", Place::Customer),
    ("grant_end", Place::Customer),
    ("archived_grants", Place::Customer),
    ("exclusion", Place::Customer),
    ("reservation", Place::Customer),
    ("waiting_pair", Place::Customer),
    ("landed_page", Place::Campaign),
    ("landed_block", Place::Campaign),
    ("held_row", Place::Campaign),
    ("clearance_denial", Place::Campaign),
    ("trigger_event", Place::Campaign),
    ("trigger_pair", Place::Campaign),
    ("tenant", Place::Everywhere),
    // A few for each campaign, and grants say which campaign they are of by them only.
    ("offer", Place::Everywhere),
    // An address is looked up before its tenant is known.
    ("listener", Place::Everywhere),
    ("api_token", Place::Everywhere),
    // Workers ask for whatever is due, whoever's it is.
    ("job", Place::Home),
    ("tenant_rest", Place::Home),
];

/// Which rows of this table stay together.
pub fn place_of(table: &Table) -> Place {
    let listed = PLACES.iter().find(|(name, _)| *name == table.name);
    match listed {
        Some((_, place)) => *place,
        None if table.key.contains(&"tenant") => Place::Tenant,
        None => Place::Home,
    }
}

/// Tables that [`place_of`] knows by their name.
pub fn placed() -> impl Iterator<Item = &'static str> {
    PLACES.iter().map(|(name, _)| *name)
}

/// A way to spread the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    engine: Engine,
    pieces: u16,
}

/// What is to be done for one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The table.
    pub table: &'static str,
    /// Statements, in order, without semicolons. The last one leaves the mark that it is done.
    pub statements: Vec<String>,
    pub(crate) mark: String,
}

impl Spread {
    /// Over `pieces` shards (partitions, tablets, hash buckets) a table.
    ///
    /// # Errors
    /// In words, where `pieces` is not between 1 and [`PIECES_MAX`].
    pub fn new(engine: Engine, pieces: u16) -> Result<Self, String> {
        if !(1..=PIECES_MAX).contains(&pieces) {
            return Err(format!("between 1 and {PIECES_MAX}"));
        }
        Ok(Self { engine, pieces })
    }

    /// Over what.
    pub fn engine(self) -> Engine {
        self.engine
    }

    /// All that is to be done on a database with the newest schema, table by table.
    pub fn steps(self) -> Vec<Step> {
        let tables = tables();
        let first_at = |place| tables.iter().find(|table| place_of(table) == place);
        tables
            .iter()
            .filter_map(|table| {
                let place = place_of(table);
                let first = first_at(place).map_or(table.name, |first| first.name);
                let mut statements = match self.engine {
                    Engine::Partitions => self.partitions(table, place),
                    Engine::Citus => self.citus(table, place, first),
                    Engine::Yugabyte => self.yugabyte(table, place),
                    Engine::Cockroach => self.cockroach(table),
                };
                if statements.is_empty() {
                    return None;
                }
                let mark = self.to_string();
                statements.push(format!("COMMENT ON TABLE {} IS '{mark}'", table.name));
                Some(Step {
                    table: table.name,
                    statements,
                    mark,
                })
            })
            .collect()
    }

    /// The table made again in pieces, its rows moved.
    fn partitions(self, table: &Table, place: Place) -> Vec<String> {
        if place.columns().is_empty() {
            return Vec::new();
        }
        let (name, pieces) = (table.name, self.pieces);
        let columns = place.columns().join(", ");
        let mut statements = vec![
            format!("ALTER TABLE {name} RENAME TO {name}_whole"),
            format!(
                "CREATE TABLE {name} (LIKE {name}_whole INCLUDING ALL) PARTITION BY HASH ({columns})"
            ),
        ];
        statements.extend((0..pieces).map(|piece| {
            format!(
                "CREATE TABLE {name}_piece_{piece} PARTITION OF {name} \
                 FOR VALUES WITH (MODULUS {pieces}, REMAINDER {piece})"
            )
        }));
        statements.push(format!("INSERT INTO {name} SELECT * FROM {name}_whole"));
        statements.push(format!("DROP TABLE {name}_whole"));
        statements
    }

    /// Citus spreads by one column; tables of one place are put together.
    fn citus(self, table: &Table, place: Place, first: &str) -> Vec<String> {
        let (name, pieces) = (table.name, self.pieces);
        let Some(column) = place.columns().last() else {
            return match place {
                Place::Everywhere => vec![format!("SELECT create_reference_table('{name}')")],
                _ => Vec::new(),
            };
        };
        let beside = if first == name {
            format!("colocate_with => 'none', shard_count => {pieces}")
        } else {
            format!("colocate_with => '{first}'")
        };
        vec![format!(
            "SELECT create_distributed_table('{name}', '{column}', {beside})"
        )]
    }

    /// The table made again with a key that says what is hashed. Other keys and indexes stay in their order: what is
    /// large splits by itself.
    fn yugabyte(self, table: &Table, place: Place) -> Vec<String> {
        let name = table.name;
        let hashed = match place {
            Place::Customer | Place::Campaign => place.columns(),
            Place::Tenant | Place::Everywhere | Place::Home => &[],
        };
        let ascending = |columns: &[&str]| {
            let columns: Vec<_> = columns
                .iter()
                .map(|column| format!("{column} ASC"))
                .collect();
            columns.join(", ")
        };
        let rest: Vec<_> = table
            .key
            .iter()
            .filter(|column| !hashed.contains(column))
            .copied()
            .collect();
        let (key, tablets) = if hashed.is_empty() {
            (ascending(&rest), String::new())
        } else {
            let hash = hashed.join(", ");
            let tablets = format!(" SPLIT INTO {} TABLETS", self.pieces);
            (format!("({hash}) HASH, {}", ascending(&rest)), tablets)
        };
        let mut statements = vec![
            format!("ALTER TABLE {name} RENAME TO {name}_whole"),
            format!(
                "CREATE TABLE {name} (LIKE {name}_whole INCLUDING DEFAULTS INCLUDING CONSTRAINTS, \
                 PRIMARY KEY ({key})){tablets}"
            ),
            format!("DROP TABLE {name}_whole"),
        ];
        for (place, columns) in table.unique.iter().enumerate() {
            let columns = ascending(columns);
            statements.push(format!(
                "CREATE UNIQUE INDEX {name}_unique_{place} ON {name} ({columns})"
            ));
        }
        statements.extend(table.indexes.iter().map(|index| {
            // The first column of an index is hashed unless it says otherwise.
            let (head, columns) = index.sql.split_once(" (").unwrap_or((index.sql, ""));
            let end = columns.find([',', ')']).unwrap_or_default();
            format!("{head} ({} ASC{}", &columns[..end], &columns[end..])
        }));
        statements
    }

    /// `CockroachDB` splits every table by its key as it grows. Only what rises with time needs hashing, since all new
    /// rows would meet in one place.
    fn cockroach(self, table: &Table) -> Vec<String> {
        let (name, pieces) = (table.name, self.pieces);
        let hash = format!("USING HASH WITH (bucket_count = {pieces})");
        let mut statements = Vec::new();
        if rises(name, None) {
            let key = table.key.join(", ");
            statements.push(format!(
                "ALTER TABLE {name} DROP CONSTRAINT {name}_pkey, \
                 ADD CONSTRAINT {name}_pkey PRIMARY KEY ({key}) {hash}"
            ));
        }
        for index in table
            .indexes
            .iter()
            .filter(|index| rises(name, Some(index.name)))
        {
            statements.push(format!("DROP INDEX {}", index.name));
            statements.push(index.sql.replacen(')', &format!(") {hash}"), 1));
        }
        statements
    }
}

/// Keys (without a name) and indexes whose new entries come behind all others of their tenant.
const RISING: [(&str, Option<&str>); 3] = [
    ("notification", None),
    ("notification", Some("notification_waiting")),
    ("reservation", Some("reservation_lapse")),
];

fn rises(table: &str, index: Option<&str>) -> bool {
    RISING.contains(&(table, index))
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "spread by bestow: {} {}",
            self.engine.name(),
            self.pieces
        )
    }
}

impl Store {
    /// Spreads the tables of this database, which must be of the engine named. What is spread like this already stays
    /// as it is. Each table is locked while its rows move. Gives how many tables were spread.
    ///
    /// # Errors
    /// [`Error::CannotSpread`] where the engine is another, or tables are spread otherwise; the database's.
    pub fn spread(&self, spread: Spread) -> Result<usize, Error> {
        match self.postgres() {
            Some(postgres) => postgres.spread(spread),
            None => Err(Error::CannotSpread(
                "SQLite is one file on one machine: move to PostgreSQL first".into(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Engine, Spread};

    /// All statements about a table.
    fn words(engine: Engine, table: &str) -> String {
        let steps = Spread::new(engine, 8).expect("so many may be").steps();
        let step = steps.iter().find(|step| step.table == table);
        step.map(|step| step.statements.join("; "))
            .unwrap_or_default()
    }

    fn assert_says(said: &str, all: &[&str]) {
        for words in all {
            assert!(said.contains(words), "`{words}` is not in {said}");
        }
    }

    #[test]
    fn each_engine_is_told_in_its_own_words() {
        assert_says(
            &words(Engine::Partitions, "grants"),
            &[
                "PARTITION BY HASH (tenant, customer)",
                "(MODULUS 8, REMAINDER 7)",
                "INSERT INTO grants SELECT",
            ],
        );
        assert_eq!(words(Engine::Partitions, "offer"), "");
        let first = "create_distributed_table('grants', 'customer', colocate_with => 'none', shard_count => 8)";
        assert_says(&words(Engine::Citus, "grants"), &[first]);
        assert_says(
            &words(Engine::Citus, "grant_end"),
            &["'customer', colocate_with => 'grants'"],
        );
        assert_says(
            &words(Engine::Citus, "offer"),
            &["create_reference_table('offer')"],
        );
        assert_eq!(words(Engine::Citus, "job"), "");
        assert_says(
            &words(Engine::Yugabyte, "grants"),
            &[
                "PRIMARY KEY ((tenant, customer) HASH, offer ASC, occurrence ASC)",
                "SPLIT INTO 8 TABLETS",
            ],
        );
        assert_says(
            &words(Engine::Yugabyte, "notification"),
            &[
                "PRIMARY KEY (tenant ASC, id ASC)",
                "CREATE UNIQUE INDEX notification_unique_0 ON notification (tenant ASC, identity ASC)",
                "CREATE INDEX notification_held ON notification (id ASC) WHERE status = 'held'",
            ],
        );
        assert_says(
            &words(Engine::Cockroach, "notification"),
            &[
                "PRIMARY KEY (tenant, id) USING HASH WITH (bucket_count = 8)",
                "DROP INDEX notification_waiting",
            ],
        );
        assert_eq!(words(Engine::Cockroach, "grants"), "");
    }

    #[test]
    fn engines_are_known_by_their_names() {
        for engine in Engine::ALL {
            assert_eq!(engine.name().parse(), Ok(engine));
        }
        assert!("oracle".parse::<Engine>().is_err());
        assert!(Spread::new(Engine::Citus, 0).is_err());
    }
}
