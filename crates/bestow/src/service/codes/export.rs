//! The unique codes of a campaign, keyed as Optimove's data connection looks them up.

use std::sync::Arc;

use bestow_core::CampaignId;
use bestow_core::id::fold_code;
use serde::Serialize;

use crate::app::App;
use crate::clock::instant;
use crate::error::Result;
use crate::service::grants::{CampaignGrants, GrantView};
use crate::tenant::Tenant;

/// A customer's code, as a line of the export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CodeRow {
    /// `CUSTOMERID_CAMPAIGNID`: the key under which a message's template finds the code.
    pub user_campaignid: String,
    /// The promotion's code, in the spelling of the catalogue.
    pub promo_code: String,
    /// The customer's own code, or the fallback code.
    pub promocode: String,
    /// The last day on which it can be used, by the tenant's clock; null where only Optimove's daily list ends it.
    pub expiry_date: Option<String>,
}

/// Walks through the unique codes of a campaign in the order of customers.
pub struct CampaignCodes {
    grants: CampaignGrants,
    tenant: Arc<Tenant>,
    /// Only of this promotion, by its code folded.
    only: Option<String>,
}

impl CampaignCodes {
    /// Starts at the beginning; of one promotion only where its code is given. Reads from the disk: not for threads
    /// that serve others.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`]; the store's.
    pub fn open(
        app: &Arc<App>,
        tenant: &Arc<Tenant>,
        campaign: &CampaignId,
        only: Option<&str>,
    ) -> Result<Self> {
        Ok(Self {
            grants: CampaignGrants::open(app, tenant, campaign, None)?,
            tenant: Arc::clone(tenant),
            only: only.map(|code| fold_code(code).into_owned()),
        })
    }

    /// The next code; `None` at the end.
    ///
    /// # Errors
    /// The store's.
    pub fn next_code(&mut self) -> Result<Option<CodeRow>> {
        while let Some((_, grant)) = self.grants.next_grant()? {
            let is_wanted = |only: &String| *only == fold_code(&grant.promo_code);
            if self.only.as_ref().is_none_or(is_wanted)
                && let Some(row) = self.row(&grant)
            {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    fn row(&self, grant: &GrantView) -> Option<CodeRow> {
        let promocode = grant.unique_code.clone()?;
        let last_instant = grant.ends_at.map(|ends_at| instant(ends_at.0 - 1));
        let expiry_date = last_instant.map(|at| self.tenant.zone.wall_clock(at).date().to_string());
        Some(CodeRow {
            user_campaignid: format!("{}_{}", grant.customer_id, grant.campaign_id),
            promo_code: grant.promo_code.clone(),
            promocode,
            expiry_date,
        })
    }
}
