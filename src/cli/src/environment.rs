//! The variables that users of Huawei Cloud have set already: those of its SDKs, and those of its Terraform provider.

use swr_operator_core::credential::Sensitive;
use swr_operator_swr::AccessKey;

/// Names of one value, the first that is set counts.
type Names = [&'static str; 2];

const ACCESS_KEY: Names = ["HUAWEICLOUD_SDK_AK", "HW_ACCESS_KEY"];
const SECRET_KEY: Names = ["HUAWEICLOUD_SDK_SK", "HW_SECRET_KEY"];
const SECURITY_TOKEN: Names = ["HUAWEICLOUD_SDK_SECURITY_TOKEN", "HW_SECURITY_TOKEN"];
/// Names of the variables for the region.
pub(crate) const REGION: Names = ["HUAWEICLOUD_SDK_REGION", "HW_REGION_NAME"];
/// Names of the variables for the project.
pub(crate) const PROJECT_ID: Names = ["HUAWEICLOUD_SDK_PROJECT_ID", "HW_PROJECT_ID"];

/// What is said where a key is missing.
pub(crate) const KEY_HINT: &str =
    "set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK, or HW_ACCESS_KEY and HW_SECRET_KEY";

/// The access key of the environment, if both of its parts are set.
///
/// # Errors
/// One part is set without the other, which is a slip.
pub(crate) fn access_key() -> Result<Option<AccessKey>, String> {
    match (value(ACCESS_KEY), value(SECRET_KEY)) {
        (Some(access_key), Some(secret_key)) => Ok(Some(AccessKey {
            access_key,
            secret_key: Sensitive::new(secret_key),
            security_token: value(SECURITY_TOKEN).map(Sensitive::new),
        })),
        (None, None) => Ok(None),
        (Some(_), None) => {
            Err("the environment has an access key without its secret key".to_owned())
        }
        (None, Some(_)) => {
            Err("the environment has a secret key without its access key".to_owned())
        }
    }
}

/// The value of whichever of these variables is set and not blank.
pub(crate) fn value(names: Names) -> Option<String> {
    names.into_iter().find_map(|name| {
        let text = std::env::var_os(name)?.into_string().ok()?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    })
}
