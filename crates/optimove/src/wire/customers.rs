//! Group `customers`: pages of rows, read without copying.
//!
//! A campaign may have millions of customers, so a row borrows from the page's body and is handed
//! to a closure; nothing is collected unless asked for.

use std::borrow::Cow;
use std::fmt;
use std::hash::{DefaultHasher, Hasher};

use super::row::{Row, SLOTS, Slots, read_rows};
use crate::read::{Codes, Days, Raw, ReadError};

/// One row of `GetCustomerExecutionDetailsByCampaign`, `GetProcessedCampaignCustomers` or
/// `GetCanceledCampaignCustomers`: a customer and what the campaign gives.
///
/// A fault stays in its row: a field that cannot be read as its type is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionRow<'a> {
    /// The customer; `None` where the row has no usable id and has to be held.
    pub customer_id: Option<Cow<'a, str>>,
    /// The action; 1 is the control group. Some servers leave it out.
    pub action_id: Option<i64>,
    /// The channel.
    pub channel_id: Option<i64>,
    /// The template's id, number or text.
    pub template_id: Option<Cow<'a, str>>,
    /// The template's name.
    pub template_name: Option<Cow<'a, str>>,
    /// `ScheduleTime`, else `ScheduledTime`, as sent, for [`crate::read::WireTime::parse`].
    pub schedule_time: Option<Cow<'a, str>>,
    /// The codes, not split on commas.
    pub promo_code: Codes<'a>,
}

/// A row that does not borrow from its page.
pub type OwnedRow = ExecutionRow<'static>;

impl ExecutionRow<'_> {
    /// The same row, independent of its page.
    pub fn into_owned(self) -> OwnedRow {
        let own = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
        ExecutionRow {
            customer_id: own(self.customer_id),
            action_id: self.action_id,
            channel_id: self.channel_id,
            template_id: own(self.template_id),
            template_name: own(self.template_name),
            schedule_time: own(self.schedule_time),
            promo_code: self.promo_code.into_owned(),
        }
    }
}

/// One row of `GetCustomersActionEndedByDate`: an action that ended for a customer on a date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndedRow<'a> {
    /// The customer; `None` where the row has no usable id and has to be held.
    pub customer_id: Option<Cow<'a, str>>,
    /// The action that ended.
    pub action_id: Option<i64>,
    /// The channel it went out on.
    pub channel_id: Option<i64>,
    /// The day the action was sent, as sent, for [`crate::read::WireTime::parse`].
    pub date: Option<Cow<'a, str>>,
    /// How long it lasted.
    pub duration: Days,
    /// The target group.
    pub target_group_id: Option<i64>,
}

/// A page of customer rows: the answer's body, known to be a complete list of objects.
#[derive(Clone)]
pub struct Page {
    body: Box<str>,
    rows: usize,
    /// The body was no UTF-8: bytes were replaced, and ids or codes that show it are unusable.
    replaced: bool,
}

/// A body that is no page.
#[derive(Clone, thiserror::Error)]
#[error("{source}")]
pub struct RefusedPage {
    /// What is wrong with it.
    pub source: ReadError,
    /// The body, for a digest of it.
    pub body: Vec<u8>,
}

impl fmt::Debug for RefusedPage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "RefusedPage({:?}, {} bytes)",
            self.source,
            self.body.len()
        )
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Page")
            .field("rows", &self.rows)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Page {
    /// A page without rows.
    pub fn empty() -> Self {
        Self {
            body: "".into(),
            rows: 0,
            replaced: false,
        }
    }

    /// Takes a body and checks that it is a list of objects to its end, so that a cut or foreign
    /// answer is refused before any of its rows is used. An empty body and `null` have no rows.
    pub fn parse(body: Vec<u8>) -> Result<Self, RefusedPage> {
        let (body, replaced) = match String::from_utf8(body) {
            Ok(text) => (text, false),
            Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), true),
        };
        let mut page = Self {
            body: body.into_boxed_str(),
            rows: 0,
            replaced,
        };
        match page.for_each(|_| ()) {
            Ok(rows) => page.rows = rows,
            Err(source) => {
                return Err(RefusedPage {
                    source,
                    body: page.body.into_string().into(),
                });
            }
        }
        Ok(page)
    }

    /// How many rows the page has.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether the page has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The size of the body in bytes.
    pub fn bytes(&self) -> usize {
        self.body.len()
    }

    /// The body as it came, for a digest or a record of it.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// A digest of the body: a page with the digest of the one before is the same page again.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write(self.body.as_bytes());
        hasher.finish()
    }

    /// Hands over each row in order and answers how many there were. On an error the caller drops
    /// what it was given.
    pub fn for_each(&self, mut take: impl FnMut(ExecutionRow<'_>)) -> Result<usize, ReadError> {
        read_rows(&self.body, |mut row: ExecutionRow<'_>| {
            if self.replaced {
                row = without_replaced(row);
            }
            take(row);
        })
    }

    /// Like [`Page::for_each`], for the list of ended actions.
    pub fn for_each_ended(&self, mut take: impl FnMut(EndedRow<'_>)) -> Result<usize, ReadError> {
        read_rows(&self.body, |mut row: EndedRow<'_>| {
            if self.replaced {
                row.customer_id = row.customer_id.filter(|id| !is_replaced(id));
            }
            take(row);
        })
    }

    /// All rows, copied out of the page.
    pub fn rows(&self) -> Result<Vec<OwnedRow>, ReadError> {
        let mut rows = Vec::with_capacity(self.rows);
        self.for_each(|row| rows.push(row.into_owned()))?;
        Ok(rows)
    }
}

fn is_replaced(text: &str) -> bool {
    text.contains(char::REPLACEMENT_CHARACTER)
}

/// A row of a body that was no UTF-8: what may have lost bytes cannot be used.
fn without_replaced(row: ExecutionRow<'_>) -> ExecutionRow<'_> {
    let damaged = row.promo_code.texts().any(is_replaced);
    let codes: Vec<&str> = row.promo_code.texts().collect();
    let promo_code = if damaged {
        Codes::Unreadable(Cow::Owned(codes.join(",")))
    } else {
        row.promo_code
    };
    ExecutionRow {
        customer_id: row.customer_id.filter(|id| !is_replaced(id)),
        promo_code,
        ..row
    }
}

impl<'a> Row<'a> for ExecutionRow<'a> {
    const NAMES: [&'static str; SLOTS] = [
        "CustomerID",
        "ActionID",
        "ChannelID",
        "TemplateID",
        "TemplateName",
        "ScheduleTime",
        "PromoCode",
        "ScheduledTime",
    ];

    fn from_slots(slots: &Slots<'a>) -> Self {
        let [
            customer,
            action,
            channel,
            template,
            name,
            schedule,
            codes,
            scheduled,
        ] = *slots;
        Self {
            customer_id: customer.and_then(Raw::id),
            action_id: action.and_then(Raw::integer),
            channel_id: channel.and_then(Raw::integer),
            template_id: template.and_then(Raw::id),
            template_name: name.map(Raw::prose),
            schedule_time: schedule
                .and_then(Raw::id)
                .or_else(|| scheduled.and_then(Raw::id)),
            promo_code: codes.map(Raw::codes).unwrap_or_default(),
        }
    }
}

impl<'a> Row<'a> for EndedRow<'a> {
    const NAMES: [&'static str; SLOTS] = [
        "CustomerID",
        "ActionID",
        "ChannelID",
        "Date",
        "Duration",
        "TargetGroupID",
        "",
        "",
    ];

    fn from_slots(slots: &Slots<'a>) -> Self {
        let [customer, action, channel, date, duration, group, _, _] = *slots;
        Self {
            customer_id: customer.and_then(Raw::id),
            action_id: action.and_then(Raw::integer),
            channel_id: channel.and_then(Raw::integer),
            date: date.and_then(Raw::id),
            duration: duration.map(Raw::days).unwrap_or_default(),
            target_group_id: group.and_then(Raw::integer),
        }
    }
}
