//! Paged lists of customers, page after page.

use std::time::Duration;

use jiff::civil::Date;

use super::{Client, encode};
use crate::answer::Absent;
use crate::error::Error;
use crate::page::{Next, Paging};
use crate::wire::Page;

/// A list that comes in pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PagedList {
    /// `GetCustomerExecutionDetailsByCampaign`: who gets which code.
    Execution {
        /// The campaign.
        campaign_id: String,
        /// One channel; `None` for all.
        channel_id: Option<i64>,
    },
    /// `GetProcessedCampaignCustomers`: who waits for an approval.
    Processed {
        /// The conditional campaign.
        campaign_id: String,
    },
    /// `GetCanceledCampaignCustomers`: from whom to take it back; open two hours after event 4. Its
    /// first page says [`Error::NotFound`] where the list is not there, since the newest API has
    /// dropped it: that is something else than a list of nobody.
    Cancelled {
        /// The cancelled campaign.
        campaign_id: String,
    },
    /// `GetCustomersActionEndedByDate`: for [`Page::for_each_ended`].
    EndedByDate {
        /// The day on which the actions ended.
        date: Date,
    },
}

impl PagedList {
    pub(super) fn function(&self) -> &'static str {
        match self {
            Self::Execution { .. } => "GetCustomerExecutionDetailsByCampaign",
            Self::Processed { .. } => "GetProcessedCampaignCustomers",
            Self::Cancelled { .. } => "GetCanceledCampaignCustomers",
            Self::EndedByDate { .. } => "GetCustomersActionEndedByDate",
        }
    }

    /// What a 404 means for the page behind `skip` rows.
    pub(super) fn absent(&self, skip: u64) -> Absent {
        match self {
            Self::Cancelled { .. } if skip == 0 => Absent::Error,
            _ => Absent::NoRows,
        }
    }

    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Execution {
                campaign_id,
                channel_id,
            } => {
                let mut query = vec![("CampaignID", encode(campaign_id))];
                query.extend(channel_id.map(|channel| ("ChannelID", channel.to_string())));
                query
            }
            Self::Processed { campaign_id } | Self::Cancelled { campaign_id } => {
                vec![("CampaignID", encode(campaign_id))]
            }
            Self::EndedByDate { date } => vec![("Date", date.to_string())],
        }
    }
}

/// Fetches a list page by page. After an error, calling [`PageStream::next`] again asks for the
/// same page again.
#[derive(Debug)]
pub struct PageStream {
    client: Client,
    list: PagedList,
    paging: Paging,
    next: Next,
    empty_page_wait: Duration,
}

impl PageStream {
    pub(super) fn new(
        client: Client,
        list: PagedList,
        paging: Paging,
        empty_page_wait: Duration,
    ) -> Self {
        let next = Next::Fetch {
            top: paging.top(),
            skip: paging.skip(),
        };
        Self {
            client,
            list,
            paging,
            next,
            empty_page_wait,
        }
    }

    /// The next page with rows; `None` when the list is complete.
    pub async fn next(&mut self) -> Result<Option<Page>, Error> {
        loop {
            let (top, skip) = match self.next {
                Next::End => return Ok(None),
                Next::Fetch { top, skip } => (top, skip),
                Next::FetchAfterWait { top, skip } => {
                    tokio::time::sleep(self.empty_page_wait).await;
                    (top, skip)
                }
            };
            let page = self.client.page(&self.list, top, skip).await?;
            let noted = self.paging.on_page(page.len(), page.digest());
            self.next = noted.map_err(|error| Error::NoProgress { skip: error.skip })?;
            if !page.is_empty() {
                return Ok(Some(page));
            }
        }
    }

    /// Where the read stands: rows received so far are `paging().skip()`.
    pub fn paging(&self) -> &Paging {
        &self.paging
    }
}
