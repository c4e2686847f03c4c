//! Query of a list -> which items, in which order, which page. Must not know what the items are but their registries.

use std::cmp::Ordering;

use jiff::Timestamp;

use crate::message::Request;
use crate::registry::Registry;
use crate::switches::{ListOrder, NameFilter, PagingErrors, Strictness, Switches};

const LIMIT_DEFAULT: usize = 10;
const LIMIT_MAX: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    CreatedAt,
    UpdatedAt,
    Name,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Ascending,
    Descending,
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    pub offset: usize,
    pub limit: usize,
}

impl Page {
    /// The rules of the documents: both or none, offset a multiple of limit, limit 1 to 100.
    pub fn from_request(request: &Request, errors: PagingErrors) -> Result<Self, String> {
        Self::from_texts(
            request.parameter("offset").as_deref(),
            request.parameter("limit").as_deref(),
            LIMIT_DEFAULT,
            errors,
        )
    }

    /// The same for instances, where a page is 100 by default.
    pub fn of_instances(request: &Request, errors: PagingErrors) -> Result<Self, String> {
        Self::from_texts(
            request.parameter("offset").as_deref(),
            request.parameter("limit").as_deref(),
            LIMIT_MAX,
            errors,
        )
    }

    fn from_texts(
        offset: Option<&str>,
        limit: Option<&str>,
        limit_default: usize,
        errors: PagingErrors,
    ) -> Result<Self, String> {
        let default = Self {
            offset: 0,
            limit: limit_default,
        };
        let complaint = match (offset, limit) {
            (None, None) => return Ok(default),
            (Some(_), None) | (None, Some(_)) => "offset and limit must be used together",
            (Some(offset), Some(limit)) => {
                match (offset.parse::<usize>(), limit.parse::<usize>()) {
                    (Ok(_), Ok(limit)) if !(1..=LIMIT_MAX).contains(&limit) => {
                        "limit must be 1 to 100"
                    }
                    (Ok(offset), Ok(limit)) if offset.is_multiple_of(limit) => {
                        return Ok(Self { offset, limit });
                    }
                    (Ok(_), Ok(_)) => "offset must be 0 or a multiple of limit",
                    (Err(_), _) | (_, Err(_)) => "offset and limit must be numbers",
                }
            }
        };
        match errors {
            PagingErrors::Refused => Err(complaint.to_owned()),
            PagingErrors::Ignored => Ok(default),
            PagingErrors::Clamped => {
                let number = |text: Option<&str>, default| {
                    text.and_then(|text| text.parse().ok()).unwrap_or(default)
                };
                let limit = number(limit, limit_default).clamp(1, LIMIT_MAX);
                let offset = number(offset, 0);
                Ok(Self {
                    offset: offset - offset % limit,
                    limit,
                })
            }
        }
    }

    pub fn cut<T>(self, items: Vec<T>) -> Vec<T> {
        items
            .into_iter()
            .skip(self.offset)
            .take(self.limit)
            .collect()
    }
}

/// The whole query of ListInstanceRegistries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    column: Column,
    direction: Direction,
    name: Option<String>,
    kind: Option<String>,
    pub page: Page,
}

impl Listing {
    pub fn from_request(request: &Request, switches: &Switches) -> Result<Self, String> {
        let present = |name| request.parameter(name).filter(|text| !text.is_empty());
        let column = present("order_column");
        let direction = present("order_type");
        let direction = match (&column, direction) {
            (None, Some(_)) => match switches.lone_order_type {
                Strictness::Refused => {
                    return Err("order_type must be used together with order_column".to_owned());
                }
                Strictness::Ignored => None,
            },
            (_, direction) => direction,
        };
        Ok(Self {
            column: match column.as_deref() {
                None | Some("created_at") => Column::CreatedAt,
                Some("updated_at") => Column::UpdatedAt,
                Some("name") => Column::Name,
                Some(_) => {
                    return Err("order_column must be created_at, updated_at or name".to_owned());
                }
            },
            direction: match direction.as_deref() {
                None | Some("desc") => Direction::Descending,
                Some("asc") => Direction::Ascending,
                Some(_) => return Err("order_type must be desc or asc".to_owned()),
            },
            name: present("name"),
            kind: present("type"),
            page: Page::from_request(request, switches.paging_errors)?,
        })
    }

    pub fn matches(&self, registry: &Registry, filter: NameFilter) -> bool {
        let named = self.name.as_ref().is_none_or(|name| match filter {
            NameFilter::Contains => registry.name.contains(name),
            NameFilter::ContainsIgnoringCase => {
                registry.name.to_lowercase().contains(&name.to_lowercase())
            }
        });
        named && self.kind.as_ref().is_none_or(|kind| registry.kind == *kind)
    }

    /// `turn` differs from request to request; it only matters when the order is unstable.
    pub fn sort(
        &self,
        registries: &mut [&Registry],
        switches: &Switches,
        now: Timestamp,
        turn: u64,
    ) {
        registries.sort_by(|a, b| {
            let key = |registry: &Registry| match self.column {
                Column::CreatedAt => Some(registry.created_at),
                Column::UpdatedAt => Some(registry.updated_at(switches, now)),
                Column::Name => None,
            };
            let by_time = match switches.list_order {
                ListOrder::Stable => key(a).cmp(&key(b)),
                ListOrder::Unstable => whole_seconds(key(a)).cmp(&whole_seconds(key(b))),
            };
            let by_name = match self.column {
                Column::Name => a.name.cmp(&b.name),
                Column::CreatedAt | Column::UpdatedAt => Ordering::Equal,
            };
            let for_equals = match switches.list_order {
                ListOrder::Stable => a.id.cmp(&b.id),
                ListOrder::Unstable => shuffled(a.id, turn).cmp(&shuffled(b.id, turn)),
            };
            let order = by_time.then(by_name).then(for_equals);
            match self.direction {
                Direction::Ascending => order,
                Direction::Descending => order.reverse(),
            }
        });
    }
}

fn whole_seconds(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_second)
}

/// A number that puts ids into another order on each turn (splitmix64's finalizer).
fn shuffled(id: i64, turn: u64) -> u64 {
    let mut mixed = id.unsigned_abs() ^ turn.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
