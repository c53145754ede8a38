#pragma once
// SPDX-License-Identifier: Apache-2.0
// The style sheet and the one script of our pages, served by HttpServer; for page.cc and http_server.cc.

namespace cloister::transport {

extern const char kPageStyle[];
// Replaces <main> with what the server has now, every data-refresh seconds, unless somebody is filling in a form. No
// framework.
extern const char kPageScript[];

}  // namespace cloister::transport
