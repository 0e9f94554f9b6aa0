//! Group `customers`: who was sent what, page by page.
//!
//! A row is written by copying: all of it but the customer is the same for an action on a
//! channel, so it is made once per page.

use jiff::Timestamp;

use super::Call;
use super::actions::known_campaign;
use crate::answer::{Refusal, Reply};
use crate::campaign::{Audience, Campaign, Listed};
use crate::paging::Page;
use crate::random::{key, mix, text_key};
use crate::rows::{CodeRows, Customer, Place, Rows};
use crate::switch::{PromoCodes, ScheduleField, Switches};
use crate::write::{Object, Style, number, text, texts};

/// Bytes set aside for one row when a page begins, ...
const ROW_BYTES_GUESS: u64 = 192;
/// ... and for a page at most; a longer one grows as it is written.
const PAGE_BYTES_GUESS_MAX: u64 = 64 * 1024 * 1024;

/// `GetCustomerExecutionDetailsByCampaign`: the rows of a channel, or of all.
pub(super) fn execution_details(call: &Call) -> Result<Reply, Refusal> {
    let id = call.query.required_number("CampaignID")?;
    let channel = call
        .query
        .number("ChannelID")?
        .filter(|channel| *channel != 0);
    let page = Page::asked(call.query, call.switches)?;
    let attributes = Attributes::asked(call)?;
    let entry = known_campaign(call, id)?.filter(|entry| entry.executed_on().is_some());
    let Some(entry) = entry else {
        return Ok(Reply::Rows(b"[]".to_vec(), 0));
    };
    let campaign = &entry.campaign;
    let code_rows = match call.switches.promo_codes {
        PromoCodes::RowPerCode => CodeRows::Each,
        _ => CodeRows::Together,
    };
    let rows = Rows::new(campaign, channel, code_rows);
    let list = (call.tenant.to_owned(), id, channel);
    let indexes = call
        .shared
        .page_order(&page, rows.len(), list, call.switches);
    let mut writer = RowWriter::new(campaign, call.switches, attributes, rows.lines());
    let guess = page.len(rows.len()).saturating_mul(ROW_BYTES_GUESS);
    let mut json = Vec::with_capacity(guess.min(PAGE_BYTES_GUESS_MAX) as usize);
    json.push(b'[');
    let mut written = 0;
    for index in indexes {
        if written > 0 {
            json.push(b',');
        }
        written += 1;
        let (customer, place) = rows.at(index);
        writer.write(&mut json, customer, place);
    }
    json.push(b']');
    Ok(Reply::Rows(json, written))
}

/// The customer attributes asked for, by name.
struct Attributes(Vec<String>);

impl Attributes {
    fn asked(call: &Call) -> Result<Self, Refusal> {
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
struct RowWriter<'a> {
    campaign: &'a Campaign,
    switches: &'a Switches,
    style: Style,
    attributes: Attributes,
    /// The row up to the customer: `{"CustomerID":` in the chosen casing.
    head: Vec<u8>,
    /// A counted customer up to its number, and after it.
    around: (Vec<u8>, &'static [u8]),
    /// Everything after the customer, for each line of a counted audience; made when first used.
    tails: Vec<Vec<u8>>,
}

impl<'a> RowWriter<'a> {
    fn new(
        campaign: &'a Campaign,
        switches: &'a Switches,
        attributes: Attributes,
        lines: usize,
    ) -> Self {
        let style = Style::from(switches);
        let mut head = Vec::new();
        Object::open(&mut head, style).name("CustomerID");
        let around = match &campaign.audience {
            Audience::Counted { prefix, .. } => around_number(style, prefix),
            Audience::Listed(_) => (Vec::new(), &b""[..]),
        };
        let tails = vec![Vec::new(); lines];
        Self {
            campaign,
            switches,
            style,
            attributes,
            head,
            around,
            tails,
        }
    }

    fn write(&mut self, out: &mut Vec<u8>, customer: Customer, place: Place) {
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
                if self.tails[place.line].is_empty() {
                    let mut tail = Vec::new();
                    self.write_tail(&mut tail, place, None);
                    self.tails[place.line] = tail;
                }
                out.extend_from_slice(&self.tails[place.line]);
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
        let schedule = listed
            .and_then(|listed| listed.schedule)
            .unwrap_or(placement.schedule);
        let mut row = Object::resume(out, self.style);
        row.id("ActionID", action.id);
        row.id("ChannelID", placement.channel);
        row.id("TemplateID", placement.template_id);
        row.optional("TemplateName", |row, name| {
            row.text(name, &placement.template_name);
        });
        self.write_schedule(&mut row, schedule);
        let codes = listed
            .and_then(|listed| listed.codes.as_ref())
            .unwrap_or(&action.codes);
        let exact = listed.and_then(|listed| listed.promo_text.as_deref());
        self.write_codes(row.name("PromoCode"), codes, place.code, exact);
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
        out: &mut Vec<u8>,
        codes: &[String],
        code: Option<usize>,
        exact: Option<&str>,
    ) {
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
                let code = code.or(Some(0)).and_then(|index| codes.get(index));
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

/// What stands around the number of a counted customer, as its whole id would be written.
fn around_number(style: Style, prefix: &str) -> (Vec<u8>, &'static [u8]) {
    let mut id = Vec::new();
    style.customer_id(&mut id, &format!("{prefix}1"));
    let close: &[u8] = if id.ends_with(b"\"") { b"\"" } else { b"" };
    id.truncate(id.len() - close.len() - 1);
    (id, close)
}
