//! The functions of the API and how a request finds its function.
//!
//! A path is an optional prefix, mostly a group, and a function, in any letter case and with
//! slashes doubled at will. Whatever is not such a path answers 405, so that a mistyped one is never read
//! as "no rows".

use std::str::FromStr;

use http::{Method, StatusCode};
use jiff::civil::Date;

use crate::Shared;
use crate::answer::{Refusal, Reply};
use crate::switch::Switches;

mod actions;
mod customers;
mod general;
mod integrations;
mod lists;
mod row_writer;
mod status;
mod triggered;

/// Who may call a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Needs no credential.
    Everyone,
    /// On the list for third parties.
    ThirdParties,
    /// What a promotion system calls, for third parties only in the wide reading of their role.
    Promotions,
    /// Admin keys and sessions only.
    Clients,
}

/// The table of functions: variant, name unless it is that of the variant, group of the path,
/// methods, who may call.
macro_rules! functions {
    ($($variant:ident $(= $name:literal)? $path:literal $($method:ident)|+ $group:ident;)+) => {
        /// A function of the API that is played.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Function { $($variant),+ }

        impl Function {
            const ALL: &[Self] = &[$(Self::$variant),+];

            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => functions!(@name $variant $($name)?)),+ }
            }

            pub(crate) fn group(self) -> Group {
                match self { $(Self::$variant => Group::$group),+ }
            }

            pub(crate) fn takes(self, method: &Method) -> bool {
                match self { $(Self::$variant => [$(Method::$method),+].contains(method)),+ }
            }

            fn path_group(self) -> &'static str {
                match self { $(Self::$variant => $path),+ }
            }
        }
    };
    (@name $variant:ident) => { stringify!($variant) };
    (@name $variant:ident $name:literal) => { $name };
}

functions! {
    Login "general" POST Everyone;
    RegisterEventListener "general" POST ThirdParties;
    UnregisterEventListener "general" POST ThirdParties;
    GetRegisteredEventListeners "general" GET ThirdParties;
    GetLastDataUpdate "general" GET ThirdParties;
    GetCampaignDetails "actions" GET ThirdParties;
    GetExecutedCampaignDetails "actions" GET Clients;
    GetExecutedCampaignChannelDetails "actions" GET ThirdParties;
    GetExecutedCampaignsByChannel "actions" GET ThirdParties;
    GetExecutionChannels "actions" GET Clients;
    GetPromoCodes "actions" GET Promotions;
    GetPromoCodesByCampaign "actions" GET Promotions;
    GetPromoCodesByTargetGroup "actions" GET Promotions;
    GetActionName "actions" GET Clients;
    GetAllActions "actions" GET Clients;
    GetCustomerExecutionDetailsByCampaign "customers" GET ThirdParties;
    GetProcessedCampaignCustomers "customers" GET Promotions;
    GetCanceledCampaignCustomers "customers" GET Promotions;
    GetCustomersActionEndedByDate "customers" GET Promotions;
    GetCurrentlyTargetedCustomers "customers" GET Clients;
    AddPromotions "integrations" POST Promotions;
    DeletePromotions "integrations" POST Promotions;
    GetPromotions "integrations" GET Promotions;
    UpdateCustomerPromotionStatus "integrations" POST Promotions;
    Gateway = "triggered_conditional_execution_gateway" "" PUT | GET | DELETE Promotions;
    Webhooks = "webhooks" "conditional-execution/v2/triggered" POST Promotions;
    Approval = "approval" "conditional-execution/v2/triggered" POST Promotions;
}

/// What may stand before the group.
const PREFIXES: [&str; 3] = ["current", "v3.0", "v1.6"];

/// Whether the contract has a function of that name, in any letter case.
pub(crate) fn is_function_name(name: &str) -> bool {
    let mut played = Function::ALL.iter().map(|function| function.name());
    played.any(|known| known.eq_ignore_ascii_case(name))
}

impl Function {
    /// The function that a path names.
    pub(crate) fn find(path: &str) -> Option<Self> {
        let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
        parts.next_if(|part| {
            PREFIXES
                .iter()
                .any(|prefix| prefix.eq_ignore_ascii_case(part))
        });
        let parts: Vec<&str> = parts.collect();
        let (name, group) = parts.split_last()?;
        let group = group.join("/");
        Self::ALL.iter().copied().find(|function| {
            name.eq_ignore_ascii_case(function.name()) && function.is_under(&group)
        })
    }

    fn is_under(self, group: &str) -> bool {
        let listener_call = matches!(
            self,
            Self::RegisterEventListener | Self::UnregisterEventListener
        );
        group.eq_ignore_ascii_case(self.path_group())
            || (listener_call && group.eq_ignore_ascii_case("triggers"))
    }
}

/// One call of a function by a known tenant.
pub(crate) struct Call<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) switches: &'a Switches,
    pub(crate) tenant: &'a str,
    pub(crate) function: Function,
    pub(crate) method: &'a Method,
    pub(crate) query: &'a Query,
    pub(crate) body: &'a [u8],
}

impl Call<'_> {
    /// Runs the function.
    pub(crate) fn run(&self) -> Result<Reply, Refusal> {
        match self.function {
            // A login has no tenant before it succeeds, so it is answered before the others.
            Function::Login => Err(Refusal::plain(StatusCode::METHOD_NOT_ALLOWED)),
            Function::RegisterEventListener => general::register(self),
            Function::UnregisterEventListener => general::unregister(self),
            Function::GetRegisteredEventListeners => general::registered(self),
            Function::GetLastDataUpdate => general::last_data_update(self),
            Function::GetCampaignDetails => actions::campaign_details(self),
            Function::GetExecutedCampaignDetails => actions::executed_campaigns(self),
            Function::GetExecutedCampaignChannelDetails => actions::channel_details(self),
            Function::GetExecutedCampaignsByChannel => actions::campaigns_by_channel(self),
            Function::GetExecutionChannels => actions::execution_channels(self),
            Function::GetPromoCodes => actions::promo_codes(self),
            Function::GetPromoCodesByCampaign => actions::promo_codes_by_campaign(self),
            Function::GetPromoCodesByTargetGroup => actions::promo_codes_by_target_group(self),
            Function::GetActionName => actions::action_name(self),
            Function::GetAllActions => actions::all_actions(self),
            Function::GetCustomerExecutionDetailsByCampaign => customers::execution_details(self),
            Function::GetProcessedCampaignCustomers => customers::processed(self),
            Function::GetCanceledCampaignCustomers => customers::cancelled(self),
            Function::GetCustomersActionEndedByDate => customers::ended(self),
            Function::GetCurrentlyTargetedCustomers => customers::targeted(self),
            Function::AddPromotions => integrations::add_promotions(self),
            Function::DeletePromotions => integrations::delete_promotions(self),
            Function::GetPromotions => integrations::promotions(self),
            Function::UpdateCustomerPromotionStatus => status::update(self),
            Function::Gateway => triggered::gateway(self),
            Function::Webhooks => triggered::register_webhook(self),
            Function::Approval => triggered::approve(self),
        }
    }
}

pub(crate) use general::{credentials, get};

/// The query of a request; names compare without letter case.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn new(query: &str) -> Self {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        Self(
            pairs
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self
            .0
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// A number that may be left out.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        self.read(name, "a number")
    }

    /// A number that must be there.
    fn required_number(&self, name: &str) -> Result<u64, Refusal> {
        self.number(name)?
            .ok_or_else(|| Refusal::bad_request(format!("A number is needed for {name}.")))
    }

    /// A date, `YYYY-MM-DD`, that must be there.
    fn required_date(&self, name: &str) -> Result<Date, Refusal> {
        self.read(name, "a date")?
            .ok_or_else(|| Refusal::bad_request(format!("A date is needed for {name}.")))
    }

    fn read<T: FromStr>(&self, name: &str, what: &str) -> Result<Option<T>, Refusal> {
        let value = self.get(name).map(str::parse);
        value
            .transpose()
            .map_err(|_| Refusal::bad_request(format!("The value of {name} is not {what}.")))
    }
}
