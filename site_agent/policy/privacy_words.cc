// SPDX-License-Identifier: Apache-2.0
#include "site_agent/policy/privacy_words.h"

#include <fmt/format.h>

namespace cloister::site {

std::string PrivacyInWords(const PrivacyOffer& offer) {
  if (!offer.planned.has_value()) {
    return "no differential privacy: nothing bounds what the released models tell of a single patient";
  }
  const plan::DifferentialPrivacy& planned = *offer.planned;
  std::string text = fmt::format("differential privacy for each {}: ", planned.unit);
  if (offer.epsilon.has_value()) {
    text += fmt::format("the whole experiment costs epsilon {:.3g} here, at delta {:g}", *offer.epsilon, planned.delta);
    if (offer.training_patients > 0) {
      text += fmt::format(", with {} training patients", offer.training_patients);
    }
    text += fmt::format(" (the plan allows {:g}).", planned.max_epsilon);
  } else {
    text += fmt::format(
        "the whole experiment costs at most epsilon {:g}, at delta {:g}; how much here is computed once "
        "the cohort is built.",
        planned.max_epsilon, planned.delta);
  }
  text += fmt::format(" This site's other experiments have spent {:.3g}, and {:.3g} more is promised to them",
                      offer.spent, offer.promised);
  text += offer.limit.has_value() ? fmt::format("; its policy allows {:g} in all.", offer.limit->max_epsilon)
                                  : "; its policy sets no limit.";
  return text;
}

std::string PrivacyInChinese(const PrivacyOffer& offer) {
  if (!offer.planned.has_value()) {
    return "未使用差分隐私：发布的模型可能泄露单个患者的信息，没有上限保证";
  }
  const plan::DifferentialPrivacy& planned = *offer.planned;
  std::string text =
      fmt::format("差分隐私，保护单位为{}：", planned.unit == plan::kPatientUnit ? "每名患者" : "每家医院");
  if (offer.epsilon.has_value()) {
    text += fmt::format("整个实验在本院消耗 ε = {:.3g}（δ = {:g}", *offer.epsilon, planned.delta);
    if (offer.training_patients > 0) {
      text += fmt::format("，训练患者 {} 名", offer.training_patients);
    }
    text += fmt::format("；计划上限 {:g}）。", planned.max_epsilon);
  } else {
    text += fmt::format("整个实验最多消耗 ε = {:g}（δ = {:g}）；建立队列后计算本院的确切数值。", planned.max_epsilon,
                        planned.delta);
  }
  text += fmt::format("本院其他实验已消耗 {:.3g}，另已承诺 {:.3g}", offer.spent, offer.promised);
  text += offer.limit.has_value() ? fmt::format("；本院策略总上限 {:g}。", offer.limit->max_epsilon)
                                  : "；本院策略未设上限。";
  return text;
}

}  // namespace cloister::site
