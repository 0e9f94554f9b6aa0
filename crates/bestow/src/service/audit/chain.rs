//! The chain of a tenant's audit records: each is hashed with all that came before it, and now and then the hash is
//! signed. Whoever changes a record, takes one away, slips one in or swaps two would have to sign anew.

use bestow_store::audit::{AuditRecord, Checkpoint};
use bestow_store::verify::Violation;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};

/// Bytes of a public key.
pub const PUBLIC_BYTES: usize = 32;

/// What is signed begins with one of these, so that a signature means one thing.
const CHAIN: &[u8] = b"bestow audit chain 1\0";
const CHECKPOINT: &[u8] = b"bestow audit checkpoint 1\0";

/// Signs checkpoints, by a key that follows from the deployment's. Never printed.
pub struct Signer(Ed25519KeyPair);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(***)")
    }
}

impl Signer {
    /// The signer whose key is made of these 256 secret bits.
    pub fn new(seed: [u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed);
        Self(pair.expect("any 32 bytes are a seed"))
    }

    /// What its signatures are checked with.
    pub fn public(&self) -> [u8; PUBLIC_BYTES] {
        let key = self.0.public_key().as_ref().try_into();
        key.expect("a public key of Ed25519 has 32 bytes")
    }
}

/// How far a chain was followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    tenant: i64,
    seq: u64,
    head: Vec<u8>,
}

impl Chain {
    /// Before a tenant's first record; 0 is the deployment itself.
    pub fn new(tenant: i64) -> Self {
        let head = Sha256::new()
            .chain_update(CHAIN)
            .chain_update(tenant.to_be_bytes())
            .finalize();
        Self {
            tenant,
            seq: 0,
            head: head.to_vec(),
        }
    }

    /// Where a checkpoint left it.
    pub fn at(tenant: i64, checkpoint: &Checkpoint) -> Self {
        Self {
            tenant,
            seq: checkpoint.seq,
            head: checkpoint.head.clone(),
        }
    }

    /// The newest record that it covers.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Takes the next record in.
    pub fn take(&mut self, record: &AuditRecord) {
        let mut hash = Sha256::new();
        hash.update(&self.head);
        hash.update(record.seq.to_be_bytes());
        hash.update(record.at.to_be_bytes());
        for text in [
            &record.actor,
            &record.action,
            &record.object,
            &record.detail,
        ] {
            text_into(&mut hash, text);
        }
        match &record.correlation {
            None => hash.update([0]),
            Some(text) => {
                hash.update([1]);
                text_into(&mut hash, text);
            }
        }
        self.seq = record.seq;
        self.head = hash.finalize().to_vec();
    }

    /// Signs what it covers.
    pub fn sign(&self, at: i64, signer: &Signer) -> Checkpoint {
        let message = message(self.tenant, self.seq, at, &self.head);
        Checkpoint {
            seq: self.seq,
            at,
            head: self.head.clone(),
            key: signer.public().to_vec(),
            signature: signer.0.sign(&message).as_ref().to_vec(),
        }
    }
}

/// With its length before it, so that no two rows of texts read the same.
fn text_into(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text.as_bytes());
}

fn message(tenant: i64, seq: u64, at: i64, head: &[u8]) -> Vec<u8> {
    let (tenant, seq, at) = (tenant.to_be_bytes(), seq.to_be_bytes(), at.to_be_bytes());
    [CHECKPOINT, &tenant, &seq, &at, head].concat()
}

/// Whether a checkpoint of a tenant was signed with the key behind this public one.
pub fn is_signed(tenant: i64, key: &[u8; PUBLIC_BYTES], checkpoint: &Checkpoint) -> bool {
    let Checkpoint {
        seq,
        at,
        head,
        key: named,
        signature,
    } = checkpoint;
    let message = message(tenant, *seq, *at, head);
    named == key
        && UnparsedPublicKey::new(&ED25519, key)
            .verify(&message, signature)
            .is_ok()
}

/// Follows a tenant's records and compares them with what was signed. Both come in the order of `seq`; several
/// checkpoints may cover the same records. Records behind the last checkpoint are not looked at.
///
/// # Errors
/// Those of whoever brings records and checkpoints.
pub fn check<E>(
    tenant: i64,
    key: &[u8; PUBLIC_BYTES],
    checkpoints: impl IntoIterator<Item = Result<Checkpoint, E>>,
    records: impl IntoIterator<Item = Result<AuditRecord, E>>,
) -> Result<Vec<Violation>, E> {
    let mut records = records.into_iter().peekable();
    let (mut chain, mut found) = (Chain::new(tenant), Vec::new());
    let mut signed_through = 0;
    for checkpoint in checkpoints {
        let checkpoint = checkpoint?;
        let seq = checkpoint.seq;
        if !is_signed(tenant, key, &checkpoint) {
            let detail = "its signature is not that of this deployment's key".to_owned();
            found.push(violation(&format!("checkpoint {seq}"), detail));
            continue;
        }
        let is_covered =
            |next: &Result<AuditRecord, E>| next.as_ref().map_or(true, |next| next.seq <= seq);
        while let Some(record) = records.next_if(is_covered) {
            chain.take(&record?);
        }
        if chain.head != checkpoint.head || chain.seq != seq {
            let detail = format!("they are not what was signed up to {seq}");
            let from = signed_through + 1;
            found.push(violation(&format!("records from {from} on"), detail));
            chain = Chain::at(tenant, &checkpoint);
        }
        signed_through = seq;
    }
    Ok(found)
}

fn violation(object: &str, detail: String) -> Violation {
    Violation {
        rule: "audit_is_what_was_signed",
        object: format!("audit: {object}"),
        detail,
    }
}
