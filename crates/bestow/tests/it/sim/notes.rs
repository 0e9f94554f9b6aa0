//! What Optimove says, filed by campaign, and what others say in its name.

use http::Method;
use serde_json::{Value, json};

use super::run::Wrong;
use super::stage::Stage;

/// A notification as the stand-in has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) event_type: u64,
    pub(crate) path: String,
    pub(crate) body: Value,
    /// The campaign that it is about; none of those of a whole day.
    campaign: Option<usize>,
}

impl Stage<'_> {
    /// Takes what Optimove has said since the last look, files it by campaign, and gives what is about a whole day.
    pub(super) async fn collect(&mut self) -> Result<Vec<Note>, Wrong> {
        let path = format!("/_sandbox/notifications?after={}", self.noted);
        let log = self.control_ok(Method::GET, &path).await?;
        let mut of_days = Vec::new();
        for entry in log["data"].as_array().into_iter().flatten() {
            self.noted = self.noted.max(entry["id"].as_u64().unwrap_or_default());
            let note = self.note(entry);
            match note.campaign {
                Some(campaign) => self.notes.entry(campaign).or_default().push(note),
                None => of_days.push(note),
            }
        }
        Ok(of_days)
    }

    fn note(&self, entry: &Value) -> Note {
        let url = entry["url"].as_str().unwrap_or_default();
        let body: Value = entry["body"]
            .as_str()
            .and_then(|body| serde_json::from_str(body).ok())
            .unwrap_or_default();
        let world = &self.history.world;
        let id = field(&body, "CampaignID").map(|id| id.to_string().replace('"', ""));
        let campaign = world.campaigns.iter().position(|plan| {
            Some(plan.id.to_string()) == id && entry["tenant"] == world.tenants[plan.tenant].id
        });
        Note {
            event_type: entry["event_type"].as_u64().unwrap_or_default(),
            path: url[url.find("/optimove/").unwrap_or(url.len())..].to_owned(),
            body,
            campaign,
        }
    }

    /// A notification that does not come from the stand-in.
    pub(super) fn forged(&self, campaign: usize, event: u64, fields: &Value) -> Note {
        let plan = &self.history.world.campaigns[campaign];
        let tenant = &self.history.world.tenants[plan.tenant];
        let keys = &self.process().app.keys;
        let secret = keys.listener_secret(tenant.id, event as i64, 1);
        let mut body = json!({ "EventTypeID": event, "CampaignID": plan.id });
        let more = fields.as_object().expect("an object").clone();
        body.as_object_mut().expect("an object").extend(more);
        Note {
            event_type: event,
            path: format!("/optimove/listener/{secret}"),
            body,
            campaign: Some(campaign),
        }
    }
}

/// A field of a body, whatever the letter case of its name.
pub(crate) fn field<'v>(body: &'v Value, name: &str) -> Option<&'v Value> {
    let mut fields = body.as_object()?.iter();
    fields
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}
