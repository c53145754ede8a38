#pragma once
// SPDX-License-Identifier: Apache-2.0
// A whole message as bytes, for those that keep or hash messages without speaking protobuf: the site's egress gate
// records the digest and size of exactly these bytes, and both sides' databases may hold them.

#include "protocols/base/status.h"
#include "protocols/wire/messages.h"

namespace cloister::wire {

// The same message gives the same bytes (with one version of the schema and library).
Bytes SerializeSiteMessage(const SiteMessage& message);
// INVALID_ARGUMENT: not protobuf, or not valid (codec.h).
absl::StatusOr<SiteMessage> ParseSiteMessage(ByteView bytes);

Bytes SerializeWorkItem(const WorkItem& item);
absl::StatusOr<WorkItem> ParseWorkItem(ByteView bytes);

}  // namespace cloister::wire
