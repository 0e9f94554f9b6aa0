//! The typed client: one thin method per function of the API.

mod builder;
mod pages;

pub use builder::{Auth, ClientBuilder, Limits, PlainHttp};
pub use pages::{PageStream, PagedList};

use std::sync::Arc;

use jiff::civil::Date;
use reqwest::Method;

use crate::answer::{Absent, check_written};
use crate::error::Error;
use crate::limits::{DECISIONS_MAX, PROMOTIONS_MAX};
use crate::page::Paging;
use crate::rate::{CallBudget, Priority};
use crate::read::ReadError;
use crate::request::{Call, Http, to_json};
use crate::retry::CallKind;
use crate::secret::SecretUrl;
use crate::wire::{
    CampaignDetails, ExecutedCampaign, ExecutionChannel, GatewayRegistration, LastDataUpdate, Page,
    PromoCodeRow, Promotion, PromotionCode, PromotionStatusReport, RegisterEventListener,
    RegisteredListener, TriggeredApproval, UnregisterEventListener, read_campaign_ids,
};

/// A client of Optimove's API for one credential. Cloning is cheap; clones share everything.
#[derive(Clone, Debug)]
pub struct Client {
    http: Arc<Http>,
    prefix: Arc<str>,
    empty_page_wait: std::time::Duration,
    priority: Priority,
}

impl Client {
    /// Starts building a client for an address like `https://api5.optimove.net`.
    pub fn builder(base_url: &str, auth: Auth) -> ClientBuilder {
        ClientBuilder::new(base_url, auth)
    }

    /// The same client, making its calls with this priority. Without it: [`Priority::Import`].
    #[must_use]
    pub fn with_priority(&self, priority: Priority) -> Self {
        Self {
            priority,
            ..self.clone()
        }
    }

    /// The budget that this client's calls are taken from.
    pub fn budget(&self) -> &Arc<CallBudget> {
        &self.http.budget
    }

    /// `RegisterEventListener`: sets or replaces the listener of an event type and channel.
    pub async fn register_event_listener(
        &self,
        listener: &RegisterEventListener,
    ) -> Result<(), Error> {
        self.write("general", "RegisterEventListener", listener)
            .await
    }

    /// `UnregisterEventListener`.
    pub async fn unregister_event_listener(
        &self,
        listener: UnregisterEventListener,
    ) -> Result<(), Error> {
        self.write("general", "UnregisterEventListener", &listener)
            .await
    }

    /// `GetRegisteredEventListeners`.
    pub async fn get_registered_event_listeners(&self) -> Result<Vec<RegisteredListener>, Error> {
        let function = "GetRegisteredEventListeners";
        self.list("general", function, vec![], RegisteredListener::read_list)
            .await
    }

    /// `GetLastDataUpdate`: the last day whose data is complete.
    pub async fn get_last_data_update(&self) -> Result<LastDataUpdate, Error> {
        let call = self.read_call("general", "GetLastDataUpdate", vec![], Absent::Error);
        self.read(&call, LastDataUpdate::read).await
    }

    /// `AddPromotions`: adds promotions, or renames those that exist. At most
    /// [`PROMOTIONS_MAX`] in one call; none is no call.
    pub async fn add_promotions(&self, promotions: &[Promotion]) -> Result<(), Error> {
        if !at_most(promotions.len(), PROMOTIONS_MAX)? {
            return Ok(());
        }
        self.write("integrations", "AddPromotions", &promotions)
            .await
    }

    /// `DeletePromotions`: an unknown code is no error. At most [`PROMOTIONS_MAX`] in one call.
    pub async fn delete_promotions<C: AsRef<str>>(&self, codes: &[C]) -> Result<(), Error> {
        if !at_most(codes.len(), PROMOTIONS_MAX)? {
            return Ok(());
        }
        let entries: Vec<PromotionCode<'_>> = codes
            .iter()
            .map(|code| PromotionCode {
                code: code.as_ref(),
            })
            .collect();
        self.write("integrations", "DeletePromotions", &entries)
            .await
    }

    /// `GetPromotions`: the whole catalogue.
    pub async fn get_promotions(&self) -> Result<Vec<Promotion>, Error> {
        self.list(
            "integrations",
            "GetPromotions",
            vec![],
            Promotion::read_list,
        )
        .await
    }

    /// `UpdateCustomerPromotionStatus`: who may get a conditional campaign. At most
    /// [`DECISIONS_MAX`] customers in one call; the last report on a customer wins.
    pub async fn update_customer_promotion_status(
        &self,
        report: &PromotionStatusReport,
    ) -> Result<(), Error> {
        if !at_most(report.decisions.len(), DECISIONS_MAX)? {
            return Ok(());
        }
        self.write("integrations", "UpdateCustomerPromotionStatus", report)
            .await
    }

    /// `GetCampaignDetails`. "Nothing found" in any form is [`Error::UnknownCampaign`]; an answer
    /// about another campaign is refused.
    pub async fn get_campaign_details(&self, campaign_id: &str) -> Result<CampaignDetails, Error> {
        let query = vec![("CampaignID", encode(campaign_id))];
        let call = self.read_call(
            "actions",
            "GetCampaignDetails",
            query,
            Absent::UnknownCampaign,
        );
        let read = |body: Vec<u8>| {
            let details = match CampaignDetails::read(&body) {
                Err(ReadError::Empty) => return Err(Error::UnknownCampaign),
                details => details.map_err(|source| Error::malformed(source, &body))?,
            };
            match &details.campaign_id {
                Some(id) if !id.eq_ignore_ascii_case(campaign_id) => Err(Error::OtherCampaign),
                _ => Ok(details),
            }
        };
        self.http.run(self.priority, &call, read).await
    }

    /// `GetExecutedCampaignDetails`: the campaigns executed on a day of the tenant.
    pub async fn get_executed_campaign_details(
        &self,
        date: Date,
    ) -> Result<Vec<ExecutedCampaign>, Error> {
        let query = vec![("Date", date.to_string())];
        let function = "GetExecutedCampaignDetails";
        self.list("actions", function, query, ExecutedCampaign::read_list)
            .await
    }

    /// `GetExecutedCampaignsByChannel`: ids of the campaigns executed on a channel on a day.
    pub async fn get_executed_campaigns_by_channel(
        &self,
        channel_id: i64,
        date: Date,
    ) -> Result<Vec<String>, Error> {
        let query = vec![
            ("ChannelID", channel_id.to_string()),
            ("Date", date.to_string()),
        ];
        let function = "GetExecutedCampaignsByChannel";
        self.list("actions", function, query, read_campaign_ids)
            .await
    }

    /// `GetExecutionChannels`.
    pub async fn get_execution_channels(&self) -> Result<Vec<ExecutionChannel>, Error> {
        self.list(
            "actions",
            "GetExecutionChannels",
            vec![],
            ExecutionChannel::read_list,
        )
        .await
    }

    /// `GetPromoCodesByCampaign`: the codes of a campaign's actions.
    pub async fn get_promo_codes_by_campaign(
        &self,
        campaign_id: &str,
    ) -> Result<Vec<PromoCodeRow>, Error> {
        let query = vec![("CampaignID", encode(campaign_id))];
        self.list(
            "actions",
            "GetPromoCodesByCampaign",
            query,
            PromoCodeRow::read_list,
        )
        .await
    }

    /// One page of `GetCustomerExecutionDetailsByCampaign`, of one channel or of all.
    pub async fn execution_page(
        &self,
        campaign_id: &str,
        channel_id: Option<i64>,
        top: u32,
        skip: u64,
    ) -> Result<Page, Error> {
        let list = PagedList::Execution {
            campaign_id: campaign_id.to_owned(),
            channel_id,
        };
        self.page(&list, top, skip).await
    }

    /// All pages of `GetCustomerExecutionDetailsByCampaign`.
    pub fn execution_pages(
        &self,
        campaign_id: &str,
        channel_id: Option<i64>,
        paging: Paging,
    ) -> PageStream {
        let list = PagedList::Execution {
            campaign_id: campaign_id.to_owned(),
            channel_id,
        };
        self.pages(list, paging)
    }

    /// One page of any paged list.
    pub async fn page(&self, list: &PagedList, top: u32, skip: u64) -> Result<Page, Error> {
        let mut query = list.query();
        query.push(("$top", top.to_string()));
        query.push(("$skip", skip.to_string()));
        let call = self.read_call("customers", list.function(), query, list.absent(skip));
        let read = |body: Vec<u8>| {
            Page::parse(body).map_err(|refused| Error::malformed(refused.source, &refused.body))
        };
        self.http.run(self.priority, &call, read).await
    }

    /// All pages of a paged list, from where `paging` stands.
    pub fn pages(&self, list: PagedList, paging: Paging) -> PageStream {
        PageStream::new(self.clone(), list, paging, self.empty_page_wait)
    }

    /// Sets or replaces the one gateway of triggered conditional execution.
    pub async fn set_gateway(&self, url: SecretUrl) -> Result<(), Error> {
        let call = Call {
            method: Method::PUT,
            path: "triggered_conditional_execution_gateway".to_owned(),
            query: vec![],
            body: Some(to_json(&GatewayRegistration { url })?),
            kind: CallKind::IdempotentWrite,
            absent: Absent::Error,
        };
        self.http
            .run(self.priority, &call, |body| check_written(&body))
            .await
    }

    /// Registers the webhook of the asynchronous gateway. Its body is not documented; the address is
    /// sent as to the synchronous one.
    pub async fn register_triggered_webhook(&self, url: SecretUrl) -> Result<(), Error> {
        let path = "conditional-execution/v2/triggered/webhooks/";
        self.post(path.to_owned(), &GatewayRegistration { url })
            .await
    }

    /// Answers a question of the asynchronous gateway.
    pub async fn approve_triggered(&self, approval: &TriggeredApproval) -> Result<(), Error> {
        let path = "conditional-execution/v2/triggered/approval";
        self.post(path.to_owned(), approval).await
    }

    async fn write(
        &self,
        group: &str,
        function: &str,
        body: &impl serde::Serialize,
    ) -> Result<(), Error> {
        self.post(path(&self.prefix, group, function), body).await
    }

    async fn post(&self, path: String, body: &impl serde::Serialize) -> Result<(), Error> {
        let call = Call {
            method: Method::POST,
            path,
            query: vec![],
            body: Some(to_json(body)?),
            kind: CallKind::IdempotentWrite,
            absent: Absent::Error,
        };
        self.http
            .run(self.priority, &call, |body| check_written(&body))
            .await
    }

    async fn list<T>(
        &self,
        group: &str,
        function: &str,
        query: Vec<(&'static str, String)>,
        read: impl Fn(&[u8]) -> Result<Vec<T>, ReadError>,
    ) -> Result<Vec<T>, Error> {
        self.read(
            &self.read_call(group, function, query, Absent::NoRows),
            read,
        )
        .await
    }

    async fn read<T>(
        &self,
        call: &Call,
        read: impl Fn(&[u8]) -> Result<T, ReadError>,
    ) -> Result<T, Error> {
        let read = |body: Vec<u8>| read(&body).map_err(|source| Error::malformed(source, &body));
        self.http.run(self.priority, call, read).await
    }

    fn read_call(
        &self,
        group: &str,
        function: &str,
        query: Vec<(&'static str, String)>,
        absent: Absent,
    ) -> Call {
        let path = path(&self.prefix, group, function);
        Call {
            method: Method::GET,
            path,
            query,
            body: None,
            kind: CallKind::Read,
            absent,
        }
    }
}

/// Whether there is anything to send; an error if it is too much for one call.
fn at_most(entries: usize, entries_max: usize) -> Result<bool, Error> {
    if entries > entries_max {
        return Err(Error::TooMany {
            entries,
            entries_max,
        });
    }
    Ok(entries > 0)
}

/// Path below the base URL: `prefix/group/Function`.
fn path(prefix: &str, group: &str, function: &str) -> String {
    if prefix.is_empty() {
        return format!("{group}/{function}");
    }
    format!("{prefix}/{group}/{function}")
}

/// Text as the value of a query parameter.
fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
