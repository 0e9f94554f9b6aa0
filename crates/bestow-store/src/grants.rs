//! Reading the ledger.

use bestow_core::GivenCode;

use crate::{Error, Row, Tx, pairs, values};

/// A grant with all that its status follows from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// `offer.no`.
    pub offer: u32,
    /// Empty unless triggered.
    pub occurrence: String,
    /// The code as the campaign spells it.
    pub code: String,
    /// Optimove's campaign id.
    pub campaign: String,
    /// scheduled, conditional or triggered.
    pub campaign_kind: String,
    /// Milliseconds.
    pub campaign_suspended_at: Option<i64>,
    /// Milliseconds.
    pub campaign_revoked_at: Option<i64>,
    /// Milliseconds.
    pub starts_at: i64,
    /// Milliseconds, exclusive; `None`: ended by the daily list.
    pub ends_at: Option<i64>,
    /// Optimove's action; 0: not told.
    pub action: i64,
    /// Optimove's channel; 0: not told.
    pub channel: i64,
    /// Milliseconds; when the page that brought it landed.
    pub created_at: i64,
    /// The unique code that it gave, if any.
    pub given: GivenCode,
    /// What is known of its clearance.
    pub clearance: Clearing,
    /// How far it is used.
    pub used: Used,
}

/// How far a grant is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Redemptions, reversed ones taken off.
    pub redeemed: u32,
    /// Whether nothing is left of it.
    pub is_spent: bool,
    /// Milliseconds, exclusive; in a cart until then.
    pub pledged_until: Option<i64>,
}

/// What a grant's page says about its clearance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clearing {
    /// It needs none: its campaign is not conditional, or was sent to its customer.
    NotNeeded,
    /// It came from a round of its campaign.
    Round(RoundFacts),
    /// Optimove refused to take its customer's approval.
    Refused,
}

/// What decides about the grants of a clearance round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundFacts {
    /// Milliseconds.
    pub deadline: i64,
    /// Customers up to here (folded) are reported.
    pub reported_through: Option<String>,
}

macro_rules! grant_columns {
    () => {
        "g.offer, g.occurrence, o.code, c.id, c.kind, c.suspended_at, c.revoked_at,
         w.starts_at, w.ends_at, w.action, w.channel,
         COALESCE(p.landed_at,
             (SELECT t.taken_at FROM trigger_event t
             WHERE t.tenant = g.tenant AND t.campaign = o.campaign AND t.occurrence = g.occurrence),
             c.first_seen_at), g.code, g.page, r.deadline, r.reported_through, g.redeemed, g.spent, g.pledged_until"
    };
}
pub(crate) use grant_columns;

macro_rules! grant_joins {
    () => {
        "FROM grants g
         JOIN offer o ON o.tenant = g.tenant AND o.no = g.offer
         JOIN eligibility_window w ON w.tenant = g.tenant AND w.no = g.window_no
         JOIN campaign c ON c.tenant = g.tenant AND c.no = o.campaign
         LEFT JOIN landed_page p ON p.tenant = g.tenant AND p.campaign = o.campaign AND p.page = g.page
         LEFT JOIN clearance_round r ON r.tenant = g.tenant AND r.campaign = o.campaign AND r.no = -p.channel"
    };
}
pub(crate) use grant_joins;

pub(crate) fn grant(row: &Row<'_>) -> Result<Grant, Error> {
    let clearance = match row.opt_int(14)? {
        Some(deadline) => Clearing::Round(RoundFacts {
            deadline,
            reported_through: row.opt_text(15)?,
        }),
        None if row.int(13)? == 0 && row.str(4)? == "conditional" => Clearing::Refused,
        None => Clearing::NotNeeded,
    };
    Ok(Grant {
        clearance,
        offer: row.int(0)? as u32,
        occurrence: row.text(1)?,
        code: row.text(2)?,
        campaign: row.text(3)?,
        campaign_kind: row.text(4)?,
        campaign_suspended_at: row.opt_int(5)?,
        campaign_revoked_at: row.opt_int(6)?,
        starts_at: row.int(7)?,
        ends_at: row.opt_int(8)?,
        action: row.int(9)?,
        channel: row.int(10)?,
        created_at: row.int(11)?,
        given: GivenCode::from_number(row.int(12)?),
        used: used(row, 16)?,
    })
}

/// How far a grant is used, from this column on.
pub(crate) fn used(row: &Row<'_>, from: usize) -> Result<Used, Error> {
    Ok(Used {
        redeemed: row.opt_int(from)?.unwrap_or_default() as u32,
        is_spent: row.opt_int(from + 1)?.is_some(),
        pledged_until: row.opt_int(from + 2)?,
    })
}

impl Tx<'_> {
    /// Grants of one customer behind a (offer, occurrence), in the order of offers.
    pub fn customer_grants(
        &mut self,
        tenant: i64,
        customer: &str,
        after_offer: i64,
        after_occurrence: &str,
        limit: u32,
    ) -> Result<Vec<Grant>, Error> {
        self.query(
            concat!(
                "-- customer_grants\nSELECT ",
                grant_columns!(),
                " ",
                grant_joins!(),
                " WHERE g.tenant = $1 AND g.customer = $2 AND (g.offer, g.occurrence) > ($3, $4)
                ORDER BY g.offer, g.occurrence LIMIT $5"
            ),
            values![tenant, customer, after_offer, after_occurrence, limit],
            grant,
        )
    }

    /// Grants of one customer for one code (folded).
    pub fn grants_for_code(
        &mut self,
        tenant: i64,
        customer: &str,
        code_fold: &str,
    ) -> Result<Vec<Grant>, Error> {
        if let Some(known) = self.near(|near| near.grants(tenant, customer, code_fold)) {
            return Ok(known);
        }
        self.query(
            concat!(
                "-- grants_for_code\nSELECT ",
                grant_columns!(),
                " ",
                grant_joins!(),
                " WHERE g.tenant = $1 AND g.customer = $2 AND o.code_fold = $3
                ORDER BY g.offer, g.occurrence"
            ),
            values![tenant, customer, code_fold],
            grant,
        )
    }

    /// The scheduled grant of one customer and offer.
    pub fn grant(
        &mut self,
        tenant: i64,
        customer: &str,
        offer: u32,
    ) -> Result<Option<Grant>, Error> {
        self.query_one(
            concat!(
                "-- grant\nSELECT ",
                grant_columns!(),
                " ",
                grant_joins!(),
                " WHERE g.tenant = $1 AND g.customer = $2 AND g.offer = $3 AND g.occurrence = ''"
            ),
            values![tenant, customer, offer],
            grant,
        )
    }

    /// A grant by its key.
    pub fn grant_of(
        &mut self,
        tenant: i64,
        customer: &str,
        offer: u32,
        occurrence: &str,
    ) -> Result<Option<Grant>, Error> {
        self.query_one(
            concat!(
                "-- grant_of\nSELECT ",
                grant_columns!(),
                " ",
                grant_joins!(),
                " WHERE g.tenant = $1 AND g.customer = $2 AND g.offer = $3 AND g.occurrence = $4"
            ),
            values![tenant, customer, offer, occurrence],
            grant,
        )
    }

    /// How many grants there are, over all tenants. Reads the whole ledger.
    pub fn grants_total(&mut self) -> Result<u64, Error> {
        let found = self.query_one(
            "-- grants_total
            SELECT COUNT(*) FROM grants",
            values![],
            |row| row.count(0),
        )?;
        Ok(found.unwrap_or_default())
    }
}

/// A grant as it stands in the ledger, in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// `offer.no`.
    pub offer: u32,
    /// Empty unless triggered.
    pub occurrence: String,
    /// `eligibility_window.no`.
    pub window: u32,
    /// `landed_page.page` within the offer's campaign; 0: none.
    pub page: u32,
    /// The unique code that it gave, if any.
    pub code: GivenCode,
    /// How far it is used.
    pub used: Used,
}

/// What an offer's number stands for; never changes once made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferFacts {
    /// `campaign.no`.
    pub campaign: i64,
    /// The code folded.
    pub code_fold: String,
}

impl Tx<'_> {
    /// The rows of one customer: the narrowest look-up there is.
    pub fn ledger_rows(&mut self, tenant: i64, customer: &str) -> Result<Vec<LedgerRow>, Error> {
        self.query(
            "-- ledger_rows
            SELECT offer, occurrence, window_no, page, code, redeemed, spent, pledged_until FROM grants
            WHERE tenant = $1 AND customer = $2 ORDER BY offer, occurrence",
            values![tenant, customer],
            |row| ledger_row(row, 0),
        )
    }

    /// The rows of each of these customers, in their order.
    pub fn ledger_rows_of(
        &mut self,
        tenant: i64,
        customers: &[&str],
    ) -> Result<Vec<Vec<LedgerRow>>, Error> {
        let Some(session) = self.session() else {
            return customers
                .iter()
                .map(|customer| self.ledger_rows(tenant, customer))
                .collect();
        };
        let asked: Vec<_> = customers
            .iter()
            .map(|customer| [tenant.into(), (*customer).into()])
            .collect();
        let found = session.query_columns(pairs::LEDGER_ROWS_OF, &asked)?;
        rows_of_each(&found, customers.len())
    }

    /// What an offer's number stands for.
    pub fn offer_facts(&mut self, tenant: i64, offer: u32) -> Result<Option<OfferFacts>, Error> {
        self.query_one(
            "-- offer_facts
            SELECT campaign, code_fold FROM offer WHERE tenant = $1 AND no = $2",
            values![tenant, offer],
            |row| {
                Ok(OfferFacts {
                    campaign: row.int(0)?,
                    code_fold: row.text(1)?,
                })
            },
        )
    }

    /// When a page landed, in milliseconds; never changes once it did.
    pub fn page_landed_at(
        &mut self,
        tenant: i64,
        campaign: i64,
        page: u32,
    ) -> Result<Option<i64>, Error> {
        self.query_one(
            "-- page_landed_at
            SELECT landed_at FROM landed_page WHERE tenant = $1 AND campaign = $2 AND page = $3",
            values![tenant, campaign, page],
            |row| row.int(0),
        )
    }
}

/// What was found for each of so many customers, where each row begins with its customer's place, from 1 on.
pub(crate) fn rows_of_each(
    found: &[tokio_postgres::Row],
    customers: usize,
) -> Result<Vec<Vec<LedgerRow>>, Error> {
    let mut each = vec![Vec::new(); customers];
    for row in found {
        let row = Row::Postgres(row);
        let place = usize::try_from(row.int(0)? - 1).ok();
        let rows = place.and_then(|place| each.get_mut(place));
        let rows = rows.ok_or_else(|| Error::Corrupt("a row of nobody asked for".into()))?;
        rows.push(ledger_row(&row, 1)?);
    }
    Ok(each)
}

/// A row of the ledger, from this column on.
fn ledger_row(row: &Row<'_>, from: usize) -> Result<LedgerRow, Error> {
    Ok(LedgerRow {
        offer: row.int(from)? as u32,
        occurrence: row.text(from + 1)?,
        window: row.int(from + 2)? as u32,
        page: row.int(from + 3)? as u32,
        code: GivenCode::from_number(row.int(from + 4)?),
        used: used(row, from + 5)?,
    })
}
