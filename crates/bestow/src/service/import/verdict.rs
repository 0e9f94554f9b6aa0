//! Whether what was read of a campaign makes sense, and whether it is all of it.

use std::collections::HashSet;

use bestow_core::import::{PASSES_MAX, PassSummary, SizeBounds, Verdict, completeness, size_check};
use bestow_core::{CampaignKind, HoldReason};
use bestow_store::campaigns::Campaign;
use bestow_store::imports::{Import, LandedPage};

use super::{Work, agree, told_channels};
use crate::actor::WORKER;
use crate::error::Result;
use crate::service::audit::Object;
use crate::service::cancel;
use crate::service::guards::weigh::{self, Lists};

impl Work<'_> {
    /// Compares what was read with what the campaign says of itself, before anything of it is granted.
    pub(super) async fn check_size(&self, campaign: &Campaign, imports: &[Import]) -> Result<()> {
        // Of a conditional campaign any part may have been cleared, and nobody else is granted.
        let is_conditional = campaign.is(CampaignKind::Conditional);
        if is_conditional || campaign.size_approved_at.is_some() || campaign.expected_size.is_none()
        {
            return Ok(());
        }
        let pages = self
            .app
            .store
            .peek(|tx| tx.landed_pages(self.job.tenant, campaign.no))?;
        let channels = told_channels(campaign);
        let mut odd = Vec::new();
        for import in imports.iter().filter(|import| import.state == "read") {
            let lists = if import.channel == 0 {
                channels.len().max(1) as u64
            } else {
                1
            };
            let customers = first_pass_customers(&pages, Some(import.channel)) / lists;
            if size_check(customers, campaign.expected_size, SizeBounds::PART).is_err() {
                odd.push(import.channel);
            }
        }
        let listed = |channel: &i64| imports.iter().any(|import| import.channel == *channel);
        let is_whole = listed(&0) || (!channels.is_empty() && channels.iter().all(listed));
        let all = first_pass_customers(&pages, None);
        let too_few = SizeBounds {
            over_percent: u32::MAX,
            ..SizeBounds::WHOLE_CAMPAIGN
        };
        if odd.is_empty() && is_whole && size_check(all, campaign.expected_size, too_few).is_err() {
            odd.extend(
                imports
                    .iter()
                    .filter(|i| i.state == "read")
                    .map(|i| i.channel),
            );
        }
        for channel in odd {
            self.hold(campaign, channel, HoldReason::SizeMismatch)
                .await?;
        }
        Ok(())
    }

    /// Weighs what the lists would come to, before anything of them is granted. A conditional campaign is weighed before
    /// its customers are cleared.
    pub(super) async fn weigh(
        &self,
        campaign: &Campaign,
        imports: &[Import],
        last_page: u32,
    ) -> Result<()> {
        let (app, tenant) = (self.app, self.tenant);
        let is_guarded = app
            .store
            .read(|tx| weigh::is_guarded(tx, tenant, campaign.no))?;
        if campaign.is(CampaignKind::Conditional) || !is_guarded {
            return Ok(());
        }
        let lists = Lists::new(tenant, campaign.no, last_page);
        let counted = lists.count(&app.store).await?;
        let read = imports.iter().filter(|import| import.state == "read");
        let channels = read.map(|import| import.channel).collect();
        let verdict = weigh::settle(app, self.job, tenant, campaign, counted, channels).await?;
        if verdict == weigh::Verdict::Held {
            self.tell_ended(&campaign.id, "held");
        }
        Ok(())
    }

    /// Weighs what the lists come to once these offers are released, too. False where that waits for a second person.
    pub(crate) async fn may_release(
        &self,
        campaign: &Campaign,
        offers: &HashSet<u32>,
    ) -> Result<bool> {
        let (app, tenant) = (self.app, self.tenant);
        let is_guarded = app
            .store
            .read(|tx| weigh::is_guarded(tx, tenant, campaign.no))?;
        if !is_guarded || offers.is_empty() {
            return Ok(true);
        }
        let lists = Lists::new(tenant, campaign.no, campaign.merged_through);
        let counted = lists.releasing(offers.clone()).count(&app.store).await?;
        let verdict = weigh::settle(app, self.job, tenant, campaign, counted, Vec::new()).await?;
        Ok(verdict == weigh::Verdict::Passed)
    }

    /// Decides whether a list that was read to its end is complete.
    pub(super) async fn conclude(&self, campaign: &Campaign, import: &Import) -> Result<()> {
        let summary = PassSummary {
            pass: u8::try_from(import.pass).unwrap_or(u8::MAX),
            page_size: import.page_rows,
            rows: import.skip,
            distinct_customers: campaign.customers.unwrap_or_default(),
            added_pairs: if import.pass == 1 {
                import.rows
            } else {
                import.pass_added
            },
        };
        let expected = agree::told_size(self, campaign, import).await?;
        match completeness(summary, expected, PASSES_MAX) {
            Verdict::Complete => self.complete(campaign, import).await,
            Verdict::ConfirmAgain { page_size } => {
                self.begin_pass(campaign.no, import.channel, import.pass + 1, page_size)
                    .await
            }
            Verdict::Hold(reason) => self.hold(campaign, import.channel, reason).await,
        }
    }

    async fn complete(&self, campaign: &Campaign, import: &Import) -> Result<()> {
        let (job, import, no) = (self.job.clone(), import.clone(), campaign.no);
        let id = campaign.id.clone();
        self.app
            .tx("complete_import", move |tx| {
                tx.check_lease(&job)?;
                if import.pass > 1 && import.pass_added == 0 && import.pass_from_page > 0 {
                    tx.drop_confirmed_rows(&job, no, import.channel, import.pass_from_page)?;
                }
                tx.set_import_state(job.tenant, no, import.channel, "done", None)?;
                let detail = format!(
                    r#"{{"channel":{},"passes":{}}}"#,
                    import.channel, import.pass
                );
                Object::Campaign(&id).record(tx, job.tenant, WORKER, "import.done", &detail)?;
                cancel::compare_again(tx, job.tenant, no, &id).map(drop)
            })
            .await?;
        self.tell_ended(&campaign.id, "done");
        Ok(())
    }
}

/// Customers of the first pass, counted page by page: a customer on two pages counts twice.
fn first_pass_customers(pages: &[LandedPage], channel: Option<i64>) -> u64 {
    let of_channel = |page: &&LandedPage| channel.is_none_or(|channel| page.channel == channel);
    pages
        .iter()
        .filter(of_channel)
        .filter(|page| page.pass == 1 && page.channel >= 0)
        .map(|page| page.customers)
        .sum()
}
