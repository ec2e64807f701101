//! AWS' request signatures (Signature Version 4), verified.

use std::collections::BTreeMap;
use std::io::BufRead;

use aws_lc_rs::{digest, hmac};
use serde_json::Value;

use super::stand_in::head;

/// One HTTP request.
#[derive(Debug)]
pub(super) struct Request {
    line: String,
    /// Lower-case names.
    pub(super) headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    pub(super) fn read(stream: &mut impl BufRead) -> Option<Self> {
        let mut lines = head(stream)?.into_iter();
        let line = lines.next()?;
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| {
                let (name, value) = line.split_once(':')?;
                Some((name.to_ascii_lowercase(), value.trim().to_owned()))
            })
            .collect();
        let length = headers
            .get("content-length")
            .map_or(0, |l| l.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        Some(Self {
            line,
            headers,
            body,
        })
    }

    fn header(&self, name: &str) -> Result<&str, String> {
        let value = self.headers.get(name);
        value.map(String::as_str).ok_or(format!("no {name}"))
    }

    /// The action, its body, and the region that the request is signed for.
    pub(super) fn checked(
        &self,
        access_key: &str,
        secret_key: &str,
    ) -> Result<(String, Value, String), String> {
        if self.line != "POST / HTTP/1.1" {
            return Err(format!("request line {:?}", self.line));
        }
        if self.header("content-type")? != "application/x-amz-json-1.1" {
            return Err("content-type".to_owned());
        }
        let target = self.header("x-amz-target")?;
        let action = target.strip_prefix("TrentService.").ok_or("x-amz-target")?;
        let region = self.signed_for(access_key, secret_key)?;
        let body = serde_json::from_slice(&self.body).map_err(|e| e.to_string())?;
        Ok((action.to_owned(), body, region))
    }

    fn signed_for(&self, access_key: &str, secret_key: &str) -> Result<String, String> {
        let authorization = self.header("authorization")?;
        let given = authorization
            .strip_prefix("AWS4-HMAC-SHA256 ")
            .ok_or("algorithm")?;
        let part = |name: &str| {
            let mut parts = given.split(", ").filter_map(|part| part.split_once('='));
            let found = parts.find(|(n, _)| *n == name).map(|(_, value)| value);
            found.ok_or(format!("no {name} in Authorization"))
        };
        let scope = part("Credential")?
            .strip_prefix(access_key)
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or("another access key")?;
        let [day, region, "kms", "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else {
            return Err(format!("scope {scope}"));
        };
        let date = self.header("x-amz-date")?;
        if !date.starts_with(day) || date.len() != 16 {
            return Err(format!("x-amz-date {date}"));
        }
        let signed = part("SignedHeaders")?;
        let names: Vec<&str> = signed.split(';').collect();
        let mut needed = vec!["host", "x-amz-date"];
        let own = self
            .headers
            .keys()
            .filter(|name| name.starts_with("x-amz-"));
        needed.extend(own.map(String::as_str));
        if let Some(unsigned) = needed.into_iter().find(|name| !names.contains(name)) {
            return Err(format!("{unsigned} is not signed"));
        }
        let mut canonical = String::from("POST\n/\n\n");
        for name in names {
            canonical.push_str(&format!("{name}:{}\n", self.header(name)?));
        }
        let hash = |bytes: &[u8]| hex::encode(digest::digest(&digest::SHA256, bytes));
        canonical.push_str(&format!("\n{signed}\n{}", hash(&self.body)));
        let text = format!(
            "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
            hash(canonical.as_bytes())
        );
        let mut key = format!("AWS4{secret_key}").into_bytes();
        for step in [day, region, "kms", "aws4_request", &text] {
            let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), step.as_bytes());
            key = mac.as_ref().to_vec();
        }
        if hex::encode(&key) != part("Signature")? {
            return Err("the signature does not fit".to_owned());
        }
        Ok(region.to_owned())
    }
}
