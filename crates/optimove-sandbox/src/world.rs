//! The world behind the wire: tenants with their credentials, catalogue, listeners and campaigns.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::access::{Session, Usage};
use crate::campaign::{Campaign, Kind};
use crate::entry::{Entry, State};
use crate::hold::Due;
use crate::id::CampaignId;
use crate::plan::Surroundings;
use crate::spec::{ApiKeySpec, NamedChannel, Role, Spec, TenantSpec};

/// Most tenants of one world.
const TENANTS_MAX: usize = 10_000;
/// Most campaigns of one tenant.
const CAMPAIGNS_MAX: usize = 100_000;
/// Where campaign ids begin that nobody chose.
const FIRST_CAMPAIGN_ID: u64 = 5_101;

/// Everything that a reset makes new.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) tenants: BTreeMap<String, Tenant>,
    /// Session tokens, also those that have run out.
    pub(crate) sessions: HashMap<String, Session>,
    pub(crate) logins: u64,
    /// Lists read to their end once, for the switch `page-churn`.
    pub(crate) lists_read: HashSet<ListName>,
    /// What falls due on the sandbox clock.
    pub(crate) agenda: BTreeSet<Due>,
}

/// A list that is read in pages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ListName {
    pub(crate) tenant: String,
    pub(crate) function: &'static str,
    /// The parameters that choose the list.
    pub(crate) of: String,
}

/// One Optimove client.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) zone: TimeZone,
    pub(crate) api_keys: Vec<ApiKeySpec>,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) signing_secret: String,
    pub(crate) channels: Vec<NamedChannel>,
    pub(crate) catalogue: Catalogue,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) campaigns: BTreeMap<CampaignId, Entry>,
    /// Who is asked about triggered campaigns, under both versions of the question.
    pub(crate) gateways: Gateways,
    pub(crate) usage: Usage,
}

/// Where notifications of an event type go.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub(crate) event_type: u64,
    pub(crate) channel: Option<u64>,
    pub(crate) url: String,
}

/// Addresses that decide on triggered campaigns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gateways {
    /// Answers at once.
    pub(crate) gateway: Option<String>,
    /// Is told, and decides by a call of its own.
    pub(crate) webhook: Option<String>,
}

/// The promo codes that a tenant's marketers can choose from, in the order of their adding.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    promotions: BTreeMap<u64, Promotion>,
    places: HashMap<String, u64>,
    next: u64,
}

/// A promo code, in its first spelling, and its name.
#[derive(Debug)]
pub(crate) struct Promotion {
    pub(crate) code: String,
    pub(crate) name: String,
}

impl Catalogue {
    /// Adds a code, or renames it where it is known, whatever its letter case.
    pub(crate) fn add(&mut self, code: &str, name: String) {
        let place = *self.places.entry(code.to_lowercase()).or_insert(self.next);
        self.next += 1;
        let new = || Promotion {
            code: code.to_owned(),
            name: String::new(),
        };
        self.promotions.entry(place).or_insert_with(new).name = name;
    }

    /// Removes a code if it is known.
    pub(crate) fn remove(&mut self, code: &str) {
        if let Some(place) = self.places.remove(&code.to_lowercase()) {
            self.promotions.remove(&place);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Promotion> {
        self.promotions.values()
    }
}

/// Why the world refuses a change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Wrong(String),
    NotFound(String),
    Conflict(String),
}

impl World {
    /// A world with the tenant `acme`.
    pub(crate) fn new() -> Self {
        let acme = Tenant {
            zone: TimeZone::UTC,
            api_keys: vec![ApiKeySpec {
                key: "acme-admin-key".into(),
                role: Role::Admin,
            }],
            ..Tenant::named("acme")
        };
        Self {
            tenants: BTreeMap::from([("acme".to_owned(), acme)]),
            sessions: HashMap::new(),
            logins: 0,
            lists_read: HashSet::new(),
            agenda: BTreeSet::new(),
        }
    }

    /// Creates or changes a tenant; true = created.
    pub(crate) fn put_tenant(&mut self, name: &str, spec: TenantSpec) -> Result<bool, Trouble> {
        let others = || self.tenants.iter().filter(|(other, _)| *other != name);
        let mut taken: BTreeSet<&str> = others()
            .flat_map(|(_, tenant)| &tenant.api_keys)
            .map(|key| key.key.as_str())
            .collect();
        for key in spec.api_keys.iter().flatten() {
            if key.key.trim().is_empty() || !taken.insert(&key.key) {
                return Err(Trouble::Conflict("an API key is blank or taken".into()));
            }
        }
        if let Some(user) = &spec.username
            && others().any(|(_, tenant)| tenant.username.eq_ignore_ascii_case(user))
        {
            return Err(Trouble::Conflict(format!("the user name {user} is taken")));
        }
        let zone = spec.time_zone.map(|zone| {
            // Compiled in, so that every machine knows the same clock changes.
            let found = TimeZoneDatabase::bundled().get(&zone);
            found.map_err(|_| Trouble::Wrong(format!("there is no time zone {zone}")))
        });
        let zone = zone.transpose()?;
        let created = !self.tenants.contains_key(name);
        if created && self.tenants.len() >= TENANTS_MAX {
            return Err(Trouble::Conflict(format!(
                "there are {TENANTS_MAX} tenants already"
            )));
        }
        let tenant = self
            .tenants
            .entry(name.to_owned())
            .or_insert_with(|| Tenant::named(name));
        tenant.zone = zone.unwrap_or_else(|| tenant.zone.clone());
        replace(&mut tenant.api_keys, spec.api_keys);
        replace(&mut tenant.username, spec.username);
        replace(&mut tenant.password, spec.password);
        replace(&mut tenant.signing_secret, spec.signing_secret);
        replace(&mut tenant.channels, spec.channels);
        Ok(created)
    }

    /// Plans a campaign.
    pub(crate) fn add_campaign(
        &mut self,
        spec: Spec,
        seed: u64,
        now: Timestamp,
    ) -> Result<Entry, Trouble> {
        let tenant = self
            .tenants
            .get_mut(&spec.tenant)
            .ok_or_else(|| Trouble::NotFound(format!("there is no tenant {}", spec.tenant)))?;
        if tenant.campaigns.len() >= CAMPAIGNS_MAX {
            return Err(Trouble::Conflict(format!(
                "there are {CAMPAIGNS_MAX} campaigns already"
            )));
        }
        let id = match &spec.id {
            Some(id) => id.clone(),
            None => CampaignId::Number(tenant.next_campaign_id()),
        };
        if tenant.campaigns.contains_key(&id) {
            return Err(Trouble::Conflict(format!("campaign {id} exists already")));
        }
        let channels = tenant.channels.iter().map(|channel| channel.id).collect();
        let around = Surroundings {
            zone: &tenant.zone,
            channels,
            seed,
            now,
        };
        let campaign = Campaign::build(spec, id.clone(), &around).map_err(Trouble::Wrong)?;
        let state = match campaign.kind {
            Kind::Scheduled | Kind::Conditional => State::Draft,
            Kind::Triggered(_) => State::Running,
        };
        let entry = Entry::new(Arc::new(campaign), state);
        tenant.campaigns.insert(id, entry.clone());
        Ok(entry)
    }

    /// Finds a campaign by id, in the named tenant or in the only one that has it.
    pub(crate) fn campaign(
        &mut self,
        id: &CampaignId,
        tenant: Option<&str>,
    ) -> Result<&mut Entry, Trouble> {
        let tenants = self.tenants.iter_mut();
        let tenants = tenants.filter(|(name, _)| tenant.is_none_or(|wanted| wanted == *name));
        let mut found = tenants.filter_map(|(_, tenant)| tenant.campaigns.get_mut(id));
        let first = found.next();
        if found.next().is_some() {
            return Err(Trouble::Conflict(format!(
                "several tenants have a campaign {id}: add ?tenant=NAME"
            )));
        }
        first.ok_or_else(|| Trouble::NotFound(format!("there is no campaign {id}")))
    }
}

impl Tenant {
    /// A tenant with the usual settings.
    fn named(name: &str) -> Self {
        let channel = |id, name: &str| NamedChannel {
            id,
            name: name.into(),
        };
        Self {
            zone: TimeZone::UTC,
            api_keys: Vec::new(),
            username: name.to_owned(),
            password: format!("{name}-password"),
            signing_secret: format!("{name}-signing-secret"),
            channels: vec![
                channel(15, "Realtime"),
                channel(504, "Email"),
                channel(505, "SMS"),
                channel(506, "Push"),
            ],
            catalogue: Catalogue::default(),
            listeners: Vec::new(),
            campaigns: BTreeMap::new(),
            gateways: Gateways::default(),
            usage: Usage::default(),
        }
    }

    /// The id of the next campaign for which none is chosen.
    fn next_campaign_id(&self) -> u64 {
        let highest = self.campaigns.keys().rev().find_map(CampaignId::number);
        let highest = highest.unwrap_or(0);
        highest.saturating_add(1).max(FIRST_CAMPAIGN_ID)
    }
}

fn replace<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}
