//! The body of event 11: its names begin small where those of all other events begin large, unless
//! a switch says otherwise, and with the parameters and tags of the trigger among its own fields or below them.

use bytes::Bytes;
use jiff::civil::DateTime;
use serde_json::{Map, Value};

use crate::campaign::{Action, Campaign};
use crate::emit::TRIGGER;
use crate::spec::TriggerSpec;
use crate::switch::{Event11Casing, Event11Parameters, Event11PromoCode, OnOff, Switches};
use crate::write::{campaign_id, number, text, texts};

/// What the names of a trigger's own parameters begin with; other attributes are tags.
const PARAMETER_PREFIX: &str = "event_";

/// The fields of the body itself.
const OWN_NAMES: [&str; 11] = [
    "eventTypeID",
    "timeStamp",
    "customerID",
    "isVisitor",
    "campaignID",
    "channelID",
    "templateID",
    "promoCode",
    "notes",
    "eventParameters",
    "personalizationTags",
];

/// Whether an attribute of that name would stand beside a field of the same name.
pub(crate) fn is_own_name(name: &str) -> bool {
    let mut own = OWN_NAMES.iter();
    own.any(|own| own.eq_ignore_ascii_case(name))
}

/// A time stamp as it is sent: to the second, with milliseconds where there are any.
pub(crate) fn stamp_text(stamp: DateTime) -> String {
    let format = match stamp.millisecond() {
        0 => "%Y-%m-%d %H:%M:%S",
        _ => "%Y-%m-%d %H:%M:%S.%3f",
    };
    stamp.strftime(format).to_string()
}

/// One customer who met the trigger of a campaign.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occasion<'a> {
    pub(crate) campaign: &'a Campaign,
    pub(crate) action: &'a Action,
    pub(crate) customer: &'a str,
    pub(crate) is_visitor: bool,
    attributes: &'a Map<String, Value>,
}

impl<'a> Occasion<'a> {
    pub(crate) fn new(campaign: &'a Campaign, action: &'a Action, spec: &'a TriggerSpec) -> Self {
        Self {
            campaign,
            action,
            customer: &spec.customer_id,
            is_visitor: spec.is_visitor,
            attributes: &spec.attributes,
        }
    }

    /// What is posted about it.
    pub(crate) fn body(&self, stamp: DateTime, switches: &Switches) -> Bytes {
        let mut fields = Fields {
            json: b"{".to_vec(),
            casing: switches.event11_casing,
        };
        if switches.event_type_in_body == OnOff::On {
            number(fields.own("eventTypeID"), TRIGGER);
        }
        text(fields.own("timeStamp"), &stamp_text(stamp));
        text(fields.own("customerID"), self.customer);
        if self.is_visitor {
            fields.own("isVisitor").extend_from_slice(b"true");
        }
        campaign_id(fields.own("campaignID"), &self.campaign.id);
        if let Some(placement) = self.action.placements.first() {
            number(fields.own("channelID"), placement.channel);
            number(fields.own("templateID"), placement.template_id);
        }
        self.write_codes(&mut fields, switches.event11_promo_code);
        text(fields.own("notes"), &self.campaign.notes);
        self.write_attributes(&mut fields, switches.event11_parameters);
        fields.json.push(b'}');
        fields.json.into()
    }

    fn write_codes(&self, fields: &mut Fields, form: Event11PromoCode) {
        let codes = &self.action.codes;
        if form == Event11PromoCode::Absent {
            return;
        }
        let out = fields.own("promoCode");
        match form {
            Event11PromoCode::Array | Event11PromoCode::Absent => texts(out, codes),
            Event11PromoCode::Csv => text(out, &codes.join(",")),
            Event11PromoCode::JsonArrayString => {
                let mut inner = Vec::new();
                texts(&mut inner, codes);
                text(out, &String::from_utf8_lossy(&inner));
            }
            Event11PromoCode::NullValue => out.extend_from_slice(b"null"),
        }
    }

    fn write_attributes(&self, fields: &mut Fields, form: Event11Parameters) {
        let attributes = self.attributes.iter();
        if form == Event11Parameters::Flat {
            for (name, value) in attributes {
                let out = fields.name(name);
                out.extend_from_slice(value.to_string().as_bytes());
            }
            return;
        }
        let (mut parameters, mut tags) = (Map::new(), Map::new());
        for (name, value) in attributes {
            match name.strip_prefix(PARAMETER_PREFIX) {
                Some(name) => parameters.insert(name.to_owned(), value.clone()),
                None => tags.insert(name.clone(), value.clone()),
            };
        }
        for (name, values) in [
            ("eventParameters", parameters),
            ("personalizationTags", tags),
        ] {
            let out = fields.own(name);
            out.extend_from_slice(Value::Object(values).to_string().as_bytes());
        }
    }
}

/// The fields of a body being written.
struct Fields {
    json: Vec<u8>,
    casing: Event11Casing,
}

impl Fields {
    /// Writes the name of a field of the body itself; exactly one value has to follow.
    fn own(&mut self, name: &str) -> &mut Vec<u8> {
        match self.casing {
            Event11Casing::Camel => self.name(name),
            Event11Casing::Pascal => {
                let mut name = name.to_owned();
                if let Some(first) = name.get_mut(..1) {
                    first.make_ascii_uppercase();
                }
                self.name(&name)
            }
        }
    }

    /// Writes a name as it is; exactly one value has to follow.
    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if self.json.len() > 1 {
            self.json.push(b',');
        }
        text(&mut self.json, name);
        self.json.push(b':');
        &mut self.json
    }
}
