//! The processes that share a database, and the time that all of them go by.

use crate::{Error, Tx, pairs, values};

impl Tx<'_> {
    /// The database's own time in milliseconds since 1970 UTC. A file has none: there it is the deployment's.
    pub(crate) fn server_now_ms(&mut self) -> Result<i64, Error> {
        if self.session().is_none() {
            return Ok(self.now_ms());
        }
        let now = self.query_one(pairs::SERVER_NOW, &[], |row| row.int(0))?;
        now.ok_or_else(unanswered)
    }

    /// A number that this connection's process is known by, until the connection ends. No other has it.
    pub(crate) fn join_nodes(&mut self) -> Result<i64, Error> {
        let node = self.query_one(pairs::NODE_NUMBER, &[], |row| row.int(0))?;
        let node = node.ok_or_else(unanswered)?;
        self.execute(pairs::JOIN_NODES, values![pairs::node_lock(node)])?;
        Ok(node)
    }

    /// Whether a process is there still, as far as the database knows: it may stand still, but is not gone.
    pub(crate) fn is_there(&mut self, node: i64) -> Result<bool, Error> {
        if self.session().is_none() {
            return Ok(true);
        }
        let is_there = self.query_one(
            pairs::NODE_IS_THERE,
            values![pairs::node_lock(node)],
            |row| row.int(0),
        )?;
        Ok(is_there == Some(1))
    }
}

fn unanswered() -> Error {
    Error::Corrupt("a question was not answered".into())
}
