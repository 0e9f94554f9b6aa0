//! What a process does of all that `serve` does.

use std::str::FromStr;

use serde::Deserialize;

/// One part of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeRole {
    /// Takes Optimove's notifications and answers its gateway.
    Listener,
    /// Answers the API.
    Api,
    /// Does what there is to do: imports, clearance, sweeps.
    Worker,
}

impl NodeRole {
    const ALL: [(&'static str, Self); 3] = [
        ("listener", Self::Listener),
        ("api", Self::Api),
        ("worker", Self::Worker),
    ];
}

/// The parts that one process does, at least one. Health and metrics are answered whatever they are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct NodeRoles(Vec<NodeRole>);

impl NodeRoles {
    /// Whether a part is among them.
    pub fn has(&self, role: NodeRole) -> bool {
        self.0.contains(&role)
    }
}

impl FromStr for NodeRoles {
    type Err = String;

    /// From names with commas between them.
    fn from_str(text: &str) -> Result<Self, String> {
        let role = |name: &str| {
            let found = NodeRole::ALL
                .iter()
                .find(|(known, _)| *known == name.trim());
            found
                .map(|(_, role)| *role)
                .ok_or_else(|| format!("`{name}` is no role: use listener, api or worker"))
        };
        text.split(',')
            .map(role)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl TryFrom<String> for NodeRoles {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_named_one_by_one() {
        let roles: NodeRoles = "api, listener".parse().unwrap();
        assert!(roles.has(NodeRole::Listener) && roles.has(NodeRole::Api));
        assert!(!roles.has(NodeRole::Worker));
        for wrong in ["", "api,", "apis", "API"] {
            assert!(wrong.parse::<NodeRoles>().is_err(), "{wrong:?}");
        }
    }
}
