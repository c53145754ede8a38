// SPDX-License-Identifier: Apache-2.0
#include "site_agent/cli/site_pacs.h"

namespace cloister::site {

PacsConfig PacsOf(const SiteConfig& config) {
  PacsConfig pacs;
  pacs.host = config.pacs_host;
  pacs.port = config.pacs_port;
  pacs.called_ae_title = config.pacs_ae_title;
  pacs.calling_ae_title = config.ae_title;
  return pacs;
}

}  // namespace cloister::site
