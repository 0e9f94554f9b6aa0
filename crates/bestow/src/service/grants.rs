//! Grants as the outside sees them: of one customer, and of one campaign.
//!
//! Nothing here is stored: the status follows from the facts and the instant of asking, and the id from the key.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use bestow_core::id::fold_code;
use bestow_core::{CampaignFacts, CampaignId, CustomerId, GrantFacts, GrantStatus, Window, grant};
use bestow_store::Error as StoreError;
use bestow_store::campaigns::{Campaign, WindowSpec};
use bestow_store::grants::{Grant as GrantRow, LedgerRow};
use bestow_store::runs::{Group, Runs};
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::clock::instant;
use crate::error::{Error, Result};
use crate::ingest::mark;
use crate::service::view::Instant;
use crate::tenant::Tenant;

/// Rows read at once when the grants of one customer are listed by status.
const CUSTOMER_GRANTS_AT_ONCE: u32 = 500;

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct GrantView {
    /// Stable; follows from tenant, campaign, customer, promo code and occurrence.
    #[schema(examples("grt_05dg9jn8cvzk2q4w7m1h6rtx3e"))]
    pub id: String,
    /// Optimove's customer id, as received.
    pub customer_id: String,
    /// The code, in the spelling of the catalogue.
    pub promo_code: String,
    /// The customer's own code, where the promotion gives one.
    pub unique_code: Option<String>,
    /// Optimove's campaign id.
    pub campaign_id: String,
    /// Optimove's action, if told.
    pub action_id: Option<i64>,
    /// Optimove's channel, if told.
    pub channel_id: Option<i64>,
    /// `scheduled`, `conditional`, `triggered` or `manual`.
    pub source: String,
    /// `pending`, `awaiting_clearance`, `active`, `suspended`, `redeemed`, `expired`, `revoked` or `not_cleared`.
    pub status: &'static str,
    /// It can be redeemed from then on.
    pub starts_at: Instant,
    /// It cannot be redeemed from then on; null where only Optimove's daily list ends it.
    pub ends_at: Option<Instant>,
    /// Redemptions, reversed ones taken off.
    pub redeemed_count: u32,
    /// When the campaign that gave it was first heard of.
    pub created_at: Instant,
}

/// Everything that a view of a grant is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) customer: &'a str,
    /// As it is to be shown.
    pub(crate) code: &'a str,
    /// As it compares.
    pub(crate) code_fold: &'a str,
    /// Empty unless triggered.
    pub(crate) occurrence: &'a str,
    pub(crate) window: WindowSpec,
    pub(crate) campaign: &'a Campaign,
}

impl GrantView {
    /// A grant as it is at `now`.
    pub(crate) fn new(tenant: &Tenant, told: Told<'_>, now: Timestamp) -> Self {
        let Told {
            customer,
            campaign,
            window,
            ..
        } = told;
        let facts = GrantFacts::single_use(window_of(window));
        let key = [
            tenant.id(),
            &campaign.id,
            customer,
            told.code_fold,
            told.occurrence,
        ];
        Self {
            id: grant_id(&key),
            customer_id: customer.to_owned(),
            promo_code: told.code.to_owned(),
            unique_code: None,
            campaign_id: campaign.id.clone(),
            action_id: (window.action != 0).then_some(window.action),
            channel_id: (window.channel != 0).then_some(window.channel),
            source: campaign.kind.clone(),
            status: grant::status(&facts, &campaign_facts(tenant, campaign), now).as_str(),
            starts_at: Instant(window.starts_at),
            ends_at: window.ends_at.map(Instant),
            redeemed_count: facts.redeemed_count,
            created_at: Instant(campaign.first_seen_at),
        }
    }
}

/// What stops a campaign; a suspended tenant stops each of its campaigns.
pub(crate) fn campaign_facts(tenant: &Tenant, campaign: &Campaign) -> CampaignFacts {
    CampaignFacts {
        suspended_at: campaign
            .suspended_at
            .or(tenant.row.suspended_at)
            .map(instant),
        revoked_at: campaign.revoked_at.map(instant),
    }
}

/// The window in the words of the decisions.
pub(crate) fn window_of(spec: WindowSpec) -> Window {
    Window {
        starts_at: instant(spec.starts_at),
        ends_at: spec.ends_at.map(instant),
    }
}

/// A customer id as a path or body names it.
///
/// # Errors
/// [`Error::Invalid`] with `bad_customer_id`.
pub fn customer_id(text: &str) -> Result<&str> {
    CustomerId::check(text).map_err(|e| Error::invalid("bad_customer_id", sentence(&e)))
}

/// A campaign id as a path names it, in its canonical form.
///
/// # Errors
/// [`Error::Invalid`] with `bad_campaign_id`.
pub fn campaign_id(text: &str) -> Result<CampaignId> {
    CampaignId::parse(text).map_err(|e| Error::invalid("bad_campaign_id", sentence(&e)))
}

/// A fault as a sentence of its own.
pub(crate) fn sentence(fault: &impl ToString) -> String {
    let mut text = fault.to_string();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text.push('.');
    text
}

/// Where a list of one customer's grants goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerPlace {
    /// The offer of the last row seen.
    pub offer: i64,
    /// Its occurrence.
    pub occurrence: String,
}

/// Grants of one customer behind a place, in a stable order; only those of one status where it is given.
///
/// # Errors
/// [`Error::Invalid`] for an id or a status that cannot be one; the store's.
pub fn of_customer(
    app: &App,
    tenant: &Tenant,
    customer: &str,
    status: Option<&str>,
    after: Option<CustomerPlace>,
    limit: u32,
) -> Result<Vec<(CustomerPlace, GrantView)>> {
    let customer = customer_id(customer)?;
    let status = status.map(GrantStatus::parse).transpose();
    let status = status.map_err(|e| Error::invalid("bad_status", sentence(&e)))?;
    let (now, mut campaigns) = (app.clock.now(), HashMap::new());
    let mut place = after.unwrap_or(CustomerPlace {
        offer: -1,
        occurrence: String::new(),
    });
    let mut found = Vec::new();
    loop {
        let rows = app.store.peek(|tx| {
            let CustomerPlace { offer, occurrence } = &place;
            tx.customer_grants(
                tenant.no(),
                customer,
                *offer,
                occurrence,
                CUSTOMER_GRANTS_AT_ONCE,
            )
        })?;
        let is_last = rows.len() < CUSTOMER_GRANTS_AT_ONCE as usize;
        for row in rows {
            let campaign = campaign_of(app, tenant, &row.campaign, &mut campaigns)?;
            let view = of_row(app, tenant, customer, &row, &campaign, now)?;
            place = CustomerPlace {
                offer: row.offer.into(),
                occurrence: row.occurrence,
            };
            if status.is_none_or(|status| status.as_str() == view.status) {
                found.push((place.clone(), view));
            }
            if found.len() >= limit as usize {
                return Ok(found);
            }
        }
        if is_last {
            return Ok(found);
        }
    }
}

fn campaign_of(
    app: &App,
    tenant: &Tenant,
    id: &str,
    known: &mut HashMap<String, Arc<Campaign>>,
) -> Result<Arc<Campaign>> {
    if let Some(campaign) = known.get(id) {
        return Ok(Arc::clone(campaign));
    }
    let found = app.store.peek(|tx| tx.campaign(tenant.no(), id))?;
    let campaign = Arc::new(found.ok_or(Error::NotFound("campaign"))?);
    known.insert(id.to_owned(), Arc::clone(&campaign));
    Ok(campaign)
}

fn of_row(
    app: &App,
    tenant: &Tenant,
    customer: &str,
    row: &GrantRow,
    campaign: &Campaign,
    now: Timestamp,
) -> Result<GrantView> {
    let code_fold = fold_code(&row.code);
    let told = Told {
        customer,
        code: &spelling(app, tenant, &code_fold, &row.code)?,
        code_fold: &code_fold,
        occurrence: &row.occurrence,
        window: WindowSpec {
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            action: row.action,
            channel: row.channel,
        },
        campaign,
    };
    Ok(GrantView::new(tenant, told, now))
}

/// The catalogue's spelling of a code; the campaign's own where the catalogue has none.
fn spelling(app: &App, tenant: &Tenant, code_fold: &str, own: &str) -> Result<String> {
    let promotion = app.facts.promotion(&app.store, tenant.no(), code_fold)?;
    Ok(promotion.map_or_else(|| own.to_owned(), |promotion| promotion.code.clone()))
}

/// Where a list of a campaign's grants goes on: the last row seen, and the group before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CampaignPlace {
    /// The ids seen whole, folded; empty: none.
    pub before: String,
    /// The customer of the last row seen.
    pub customer: String,
    /// Its offer.
    pub offer: u32,
}

/// Walks through the grants of a campaign in the order of customers: as they landed, looked up in the ledger.
///
/// Memory is one block for each landed page, whatever the size of the campaign. What is held is not in the ledger
/// and is not given.
pub struct CampaignGrants {
    app: Arc<App>,
    tenant: Arc<Tenant>,
    campaign: Campaign,
    now: Timestamp,
    runs: Runs,
    group: Group,
    /// The ids before the group, folded.
    before: String,
    /// Rows of the group that were not given yet.
    found: VecDeque<FoundRow>,
    /// The last row that the caller knows; rows up to it are passed over.
    after: Option<CampaignPlace>,
    codes: HashMap<u32, Code>,
    windows: HashMap<u32, WindowSpec>,
}

#[derive(Debug)]
struct FoundRow {
    customer: String,
    offer: u32,
    window: u32,
}

#[derive(Debug)]
struct Code {
    fold: String,
    shown: String,
}

impl CampaignGrants {
    /// Starts behind a place, or at the beginning. Reads from the disk: not for threads that serve others.
    ///
    /// # Errors
    /// [`Error::NotFound`]; the store's.
    pub fn open(
        app: &Arc<App>,
        tenant: &Arc<Tenant>,
        campaign: &CampaignId,
        after: Option<CampaignPlace>,
    ) -> Result<Self> {
        let no = tenant.no();
        let found = app.store.peek(|tx| tx.campaign(no, campaign.as_str()))?;
        let campaign = found.ok_or(Error::NotFound("campaign"))?;
        // What a merge under way has granted so far is given, too.
        let through = campaign
            .merge_to
            .unwrap_or_default()
            .max(campaign.merged_through);
        let before = after.as_ref().map(|place| place.before.as_str());
        let before = before.filter(|before| !before.is_empty());
        let runs = Runs::open(&app.store, no, campaign.no, through, before)?;
        let mut codes = HashMap::new();
        for offer in app.store.peek(|tx| tx.offers(no, campaign.no))? {
            let shown = spelling(app, tenant, &offer.code_fold, &offer.code)?;
            codes.insert(
                offer.no,
                Code {
                    fold: offer.code_fold,
                    shown,
                },
            );
        }
        Ok(Self {
            now: app.clock.now(),
            app: Arc::clone(app),
            tenant: Arc::clone(tenant),
            campaign,
            runs,
            group: Group::default(),
            before: before.unwrap_or_default().to_owned(),
            found: VecDeque::new(),
            after,
            codes,
            windows: HashMap::new(),
        })
    }

    /// The next grant, with its place; `None` at the end.
    ///
    /// # Errors
    /// The store's.
    pub fn next_grant(&mut self) -> Result<Option<(CampaignPlace, GrantView)>> {
        loop {
            while let Some(row) = self.found.pop_front() {
                if self.is_known(&row) {
                    continue;
                }
                self.after = None;
                return self.view(row).map(Some);
            }
            if !self.group.fold().is_empty() {
                self.group.fold().clone_into(&mut self.before);
            }
            if !self.runs.next_group(&mut self.group)? {
                return Ok(None);
            }
            self.look_up()?;
        }
    }

    fn is_known(&self, row: &FoundRow) -> bool {
        self.after.as_ref().is_some_and(|after| {
            after.before == self.before
                && (row.customer.as_str(), row.offer) <= (&after.customer, after.offer)
        })
    }

    /// Looks up in the ledger what the group's rows may have become.
    fn look_up(&mut self) -> Result<()> {
        let Self {
            group,
            found,
            app,
            tenant,
            ..
        } = self;
        let no = tenant.no();
        for entries in group
            .entries
            .chunk_by(|a, b| group.customer(a) == group.customer(b))
        {
            let may_be_granted = entries.iter().filter(|entry| entry.mark == mark::GRANT);
            let offers: BTreeSet<u32> = may_be_granted.map(|entry| entry.offer).collect();
            if offers.is_empty() {
                continue;
            }
            let customer = group.customer(&entries[0]);
            let rows = app.store.peek(|tx| tx.ledger_rows(no, customer))?;
            for offer in offers {
                let scheduled = |row: &&LedgerRow| row.offer == offer && row.occurrence.is_empty();
                if let Some(row) = rows.iter().find(scheduled) {
                    let customer = customer.to_owned();
                    found.push_back(FoundRow {
                        customer,
                        offer,
                        window: row.window,
                    });
                }
            }
        }
        Ok(())
    }

    fn view(&mut self, row: FoundRow) -> Result<(CampaignPlace, GrantView)> {
        let window = self.window(row.window)?;
        let unknown = || StoreError::Corrupt(format!("offer {} is of no campaign", row.offer));
        let code = self.codes.get(&row.offer).ok_or_else(unknown)?;
        let told = Told {
            customer: &row.customer,
            code: &code.shown,
            code_fold: &code.fold,
            occurrence: "",
            window,
            campaign: &self.campaign,
        };
        let view = GrantView::new(&self.tenant, told, self.now);
        let FoundRow {
            customer, offer, ..
        } = row;
        Ok((
            CampaignPlace {
                before: self.before.clone(),
                customer,
                offer,
            },
            view,
        ))
    }

    fn window(&mut self, no: u32) -> Result<WindowSpec> {
        if let Some(window) = self.windows.get(&no) {
            return Ok(*window);
        }
        // A merge under way makes new ones, so they are looked up as they are met.
        let found = self
            .app
            .store
            .peek(|tx| tx.window_facts(self.tenant.no(), no))?;
        let missing = || StoreError::Corrupt(format!("window {no} is not there"));
        let window = found.ok_or_else(missing)?;
        self.windows.insert(no, window);
        Ok(window)
    }
}

/// The id of a grant: 128 bits of a digest of its key, in 26 characters. The parts hold no control characters, so
/// that none can pass for two.
fn grant_id(key: &[&str]) -> String {
    let digest = Sha256::digest(key.join("\0"));
    let (first, _) = digest
        .split_first_chunk::<16>()
        .expect("a SHA-256 has 32 bytes");
    let bits = u128::from_be_bytes(*first);
    let mut id = String::with_capacity(4 + 26);
    id.push_str("grt_");
    id.extend(
        (0..26)
            .rev()
            .map(|place| BASE32[(bits >> (place * 5)) as usize & 31] as char),
    );
    id
}

/// Digits and letters without look-alikes.
const BASE32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
