//! Writes the rows of a list of customers.
//!
//! A row is written by copying: all of it but the customer is the same for an action on a
//! channel, so it is made once per page.

use jiff::Timestamp;

use super::Call;
use super::lists::Columns;
use crate::answer::Refusal;
use crate::campaign::{Action, Audience, Campaign, Listed, Placement};
use crate::random::{key, mix, text_key};
use crate::rows::{Customer, Place};
use crate::scope::Scope;
use crate::switch::{PromoCodes, ScheduleField, Switches};
use crate::write::{Object, Style, number, text, texts};

/// The customer attributes asked for, by name.
#[derive(Debug, Default)]
pub(super) struct Attributes(Vec<String>);

impl Attributes {
    pub(super) fn asked(call: &Call) -> Result<Self, Refusal> {
        let delimiter = call.query.get("CustomerAttributesDelimiter");
        if delimiter.is_some_and(|text| text.len() != 1 || "/?&#%$+=:".contains(text)) {
            return Err(Refusal::bad_request(
                "CustomerAttributesDelimiter is not allowed.",
            ));
        }
        let names = call
            .query
            .get("CustomerAttributes")
            .unwrap_or_default()
            .split(';');
        let names = names.map(str::trim).filter(|name| !name.is_empty());
        Ok(Self(names.map(str::to_owned).collect()))
    }
}

/// Writes rows of one campaign.
pub(super) struct RowWriter<'a> {
    campaign: &'a Campaign,
    scope: &'a Scope,
    columns: Columns,
    switches: &'a Switches,
    style: Style,
    attributes: &'a Attributes,
    /// The row up to the customer: `{"CustomerID":` in the chosen casing.
    head: Vec<u8>,
    /// A counted customer up to its number, and after it.
    around: (Vec<u8>, &'static [u8]),
    /// Everything after the customer, for each send group and line of a counted audience; made
    /// when first used.
    tails: Vec<Vec<u8>>,
    lines: usize,
}

impl<'a> RowWriter<'a> {
    pub(super) fn new(
        (campaign, scope): (&'a Campaign, &'a Scope),
        columns: Columns,
        switches: &'a Switches,
        attributes: &'a Attributes,
        lines: usize,
    ) -> Self {
        let style = Style::from(switches);
        let mut head = Vec::new();
        Object::open(&mut head, style).name("CustomerID");
        let around = match &campaign.audience {
            Audience::Counted { prefix, .. } => around_number(style, prefix),
            Audience::Listed(_) => (Vec::new(), &b""[..]),
        };
        let tails = vec![Vec::new(); lines * scope.shifts().count()];
        Self {
            campaign,
            scope,
            columns,
            switches,
            style,
            attributes,
            head,
            around,
            tails,
            lines,
        }
    }

    pub(super) fn write(&mut self, out: &mut Vec<u8>, customer: Customer, place: Place) {
        out.extend_from_slice(&self.head);
        match customer {
            Customer::Listed(listed) => {
                self.style.customer_id(out, &listed.id);
                self.write_tail(out, place, Some(listed));
            }
            Customer::Counted(customer) => {
                out.extend_from_slice(&self.around.0);
                number(out, customer);
                out.extend_from_slice(self.around.1);
                let line = self.scope.group_of(place.unit) * self.lines + place.line;
                if self.tails[line].is_empty() {
                    let mut tail = Vec::new();
                    self.write_tail(&mut tail, place, None);
                    self.tails[line] = tail;
                }
                out.extend_from_slice(&self.tails[line]);
            }
        }
        if !self.attributes.0.is_empty() {
            self.write_attributes(out, customer);
        }
        out.push(b'}');
    }

    fn write_tail(&self, out: &mut Vec<u8>, place: Place, listed: Option<&Listed>) {
        let action = &self.campaign.actions[place.action];
        let placement = &action.placements[place.placement];
        let mut row = Object::resume(out, self.style);
        match self.columns {
            Columns::Execution => {
                write_sending(&mut row, action, placement);
                row.optional("TemplateName", |row, name| {
                    row.text(name, &placement.template_name);
                });
                let later = self.scope.later(place.unit);
                self.write_schedule(&mut row, Campaign::schedule(placement, listed, later));
                self.write_codes(&mut row, action, place, listed);
            }
            Columns::Processed => {
                write_sending(&mut row, action, placement);
                self.write_codes(&mut row, action, place, listed);
            }
            Columns::Cancelled => {
                row.text_id("ActionID", action.id);
                self.write_codes(&mut row, action, place, listed);
            }
            Columns::Ended(sent_on) => {
                row.id("ActionID", action.id);
                row.id("ChannelID", placement.channel);
                row.text("Date", &sent_on.to_string());
                let days = self.campaign.duration_days.unsigned_abs();
                row.integer("Duration", u64::from(days));
                row.id("TargetGroupID", self.campaign.target_group_id);
            }
            Columns::Targeted(starts, ends) => {
                row.id("CampaignID", self.campaign.number());
                row.id("ActionID", action.id);
                row.text("StartDate", &starts.to_string());
                row.text("EndDate", &ends.to_string());
            }
        }
    }

    fn write_schedule(&self, row: &mut Object, schedule: Timestamp) {
        let zone = &self.campaign.zone;
        match self.switches.schedule_field {
            ScheduleField::ScheduleTime => row.time("ScheduleTime", schedule, zone),
            ScheduleField::ScheduledTime => row.time("ScheduledTime", schedule, zone),
            ScheduleField::Both => {
                row.time("ScheduleTime", schedule, zone);
                row.time("ScheduledTime", schedule, zone);
            }
        }
    }

    fn write_codes(
        &self,
        row: &mut Object,
        action: &Action,
        place: Place,
        listed: Option<&Listed>,
    ) {
        let codes = listed
            .and_then(|listed| listed.codes.as_ref())
            .unwrap_or(&action.codes);
        let exact = listed.and_then(|listed| listed.promo_text.as_deref());
        let out = row.name("PromoCode");
        match self.switches.promo_codes {
            PromoCodes::Csv => text(out, exact.unwrap_or(&codes.join(","))),
            PromoCodes::CsvSpaced => text(out, &codes.join(", ")),
            PromoCodes::Array => texts(out, codes),
            PromoCodes::JsonArrayString => {
                let mut inner = Vec::new();
                texts(&mut inner, codes);
                text(out, &String::from_utf8_lossy(&inner));
            }
            PromoCodes::RowPerCode => {
                let code = place.code.or(Some(0)).and_then(|index| codes.get(index));
                text(out, code.map_or("", String::as_str));
            }
        }
    }

    fn write_attributes(&self, out: &mut Vec<u8>, customer: Customer) {
        let customer = match customer {
            Customer::Counted(number) => mix(number),
            Customer::Listed(listed) => text_key(&listed.id),
        };
        let mut row = Object::resume(out, self.style);
        let out = row.name("CustomerAttributes");
        out.push(b'[');
        for (index, name) in self.attributes.0.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.push(b'"');
            number(
                out,
                key(&[self.campaign.seed, text_key(name), customer]) % 1_000,
            );
            out.push(b'"');
        }
        out.push(b']');
    }
}

/// What is sent on which channel.
fn write_sending(row: &mut Object, action: &Action, placement: &Placement) {
    row.id("ActionID", action.id);
    row.id("ChannelID", placement.channel);
    row.id("TemplateID", placement.template_id);
}

/// What stands around the number of a counted customer, as its whole id would be written.
fn around_number(style: Style, prefix: &str) -> (Vec<u8>, &'static [u8]) {
    let mut id = Vec::new();
    style.customer_id(&mut id, &format!("{prefix}1"));
    let close: &[u8] = if id.ends_with(b"\"") { b"\"" } else { b"" };
    id.truncate(id.len() - close.len() - 1);
    (id, close)
}
