//! Values that GraphQL has no type of its own for.

use crate::time;
use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use domain::{MicroUsd, Timestamp};

/// An RFC 3339 time in UTC with milliseconds, such as `2026-11-28T05:00:00.123Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime(pub Timestamp);

#[Scalar(specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        let told = || InputValueError::custom("give a time as in 2026-11-28T05:00:00Z");
        time::parse(text).map(Self).ok_or_else(told)
    }

    fn to_value(&self) -> Value {
        Value::String(time::rfc3339(self.0))
    }
}

/// A 64-bit whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Long(pub i64);

#[Scalar]
impl ScalarType for Long {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::Number(number) = &value else { return Err(InputValueError::expected_type(value)) };
        let number = number.as_i64().ok_or_else(|| InputValueError::custom("give a whole number"))?;
        Ok(Self(number))
    }

    fn to_value(&self) -> Value {
        self.0.into()
    }
}

impl From<i64> for Long {
    fn from(number: i64) -> Self {
        Self(number)
    }
}

impl From<u64> for Long {
    fn from(number: u64) -> Self {
        Self(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// An amount in dollars.
#[expect(clippy::cast_precision_loss, reason = "nobody spends 2^53 millionths of a dollar")]
pub fn dollars(amount: MicroUsd) -> f64 {
    amount.0 as f64 / 1e6
}

/// The amount that is meant by dollars; none for what is negative or no number.
#[expect(clippy::cast_possible_truncation, reason = "it is within the bounds that are checked")]
pub fn micro_usd(dollars: f64) -> Option<MicroUsd> {
    let micros = (dollars * 1e6).round();
    (micros.is_finite() && (0.0..=9e15).contains(&micros)).then_some(MicroUsd(micros as i64))
}
