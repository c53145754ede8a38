// SPDX-License-Identifier: Apache-2.0
// Tasks with more than two answers, against scikit-learn, and their intervals.

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "eval/stats/categories.h"
#include "eval/stats/measurement.h"

namespace cloister::eval {
namespace {

const Estimable<Estimate>& Of(const std::vector<Measure>& measures, std::string_view key) {
  static const Estimable<Estimate> kNone = Reason::kNotMeasured;
  for (const Measure& measure : measures) {
    if (measure.key == key) {
      return measure.estimate;
    }
  }
  ADD_FAILURE() << "no measure " << key;
  return kNone;
}

// Twelve cases of three classes; the scores' largest is what is called.
CategoryCases Twelve() {
  CategoryCases cases;
  cases.names = {"a", "b", "c"};
  cases.truth = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2};
  cases.scores = {{.7, .6, .2, .5, .3, .1, .4, .2, .1, .2, .3, .5},
                  {.2, .3, .5, .3, .5, .8, .3, .6, .2, .3, .1, .2},
                  {.1, .1, .3, .2, .2, .1, .3, .2, .7, .5, .6, .3}};
  cases.called = {0, 0, 1, 0, 1, 1, 0, 1, 2, 2, 2, 0};
  for (uint32_t i = 0; i < 12; ++i) {
    cases.patients.push_back(i);
  }
  return cases;
}

TEST(CategoriesTest, AgreesWithScikitLearn) {
  const std::vector<Measure> measures = MeasureCategories(Twelve(), true, {});
  EXPECT_NEAR(Of(measures, "accuracy")->value, 0.75, 1e-12);
  EXPECT_EQ(Of(measures, "accuracy")->method, "wilson");
  EXPECT_NEAR(Of(measures, "balanced_accuracy")->value, 0.75, 1e-12);
  EXPECT_NEAR(Of(measures, "macro_f1")->value, 0.7579365079365079, 1e-12);
  EXPECT_NEAR(Of(measures, "macro_auc")->value, 0.9010416666666666, 1e-12);
  EXPECT_NEAR(Of(measures, "kappa")->value, 0.625, 1e-12);
  EXPECT_NEAR(Of(measures, "kappa_quadratic")->value, 0.625, 1e-12);
  EXPECT_NEAR(Of(measures, "within_one")->value, 11.0 / 12, 1e-15);
  EXPECT_NEAR(Of(measures, "mean_grade_error")->value, 4.0 / 12, 1e-15);
  for (const Measure& measure : measures) {
    EXPECT_LT(measure.estimate->lower, measure.estimate->value) << measure.key;
    EXPECT_GT(measure.estimate->upper, measure.estimate->value) << measure.key;
  }
  EXPECT_NEAR(Of(MeasureCategory(Twelve(), 0, {}), "ppv")->value, 3.0 / 5, 1e-15);
}

TEST(CategoriesTest, TwiceTheSameEyesAddNothing) {
  CategoryCases once;
  once.names = {"0", "1", "2", "3"};
  std::mt19937_64 random(2);
  for (uint32_t i = 0; i < 300; ++i) {
    once.patients.push_back(i);
    once.truth.push_back(i % 4);
    once.called.push_back(random() % 10 < 7 ? i % 4 : random() % 4);
  }
  CategoryCases twice = once;
  for (auto* list : {&twice.patients, &twice.truth, &twice.called}) {
    const std::vector<uint32_t> copy = *list;
    list->insert(list->end(), copy.begin(), copy.end());
  }
  const std::vector<Measure> one = MeasureCategories(once, true, {});
  const std::vector<Measure> two = MeasureCategories(twice, true, {});
  for (size_t i = 0; i < one.size(); ++i) {
    const double width = one[i].estimate->upper - one[i].estimate->lower;
    EXPECT_NEAR(one[i].estimate->value, two[i].estimate->value, 1e-12) << one[i].key;
    EXPECT_NEAR(two[i].estimate->upper - two[i].estimate->lower, width, 0.15 * width) << one[i].key;
    EXPECT_EQ(two[i].estimate->n, 300u) << one[i].key;
  }
}

TEST(CategoriesTest, SaysWhatCannotBeEstimated) {
  CategoryCases cases = Twelve();
  for (uint32_t& truth : cases.truth) {
    truth = truth == 2 ? 1 : truth;
  }
  const std::vector<Measure> measures = MeasureCategories(cases, false, {});
  EXPECT_EQ(Of(measures, "balanced_accuracy").reason(), Reason::kOneClass);
  EXPECT_EQ(Of(measures, "macro_auc").reason(), Reason::kOneClass);
  EXPECT_TRUE(Of(measures, "accuracy").ok());
  EXPECT_EQ(MeasureCategories({{"a", "b"}, {}, {}, {}, {}}, false, {}).front().estimate.reason(), Reason::kNoCases);
}

TEST(MeasurementTest, BoneAgesByHandAndByPatient) {
  Measurements cases;
  cases.predicted = {120, 134, 98, 151, 77, 143, 109, 88, 130, 165};
  cases.reference = {118, 140, 95, 155, 80, 139, 115, 85, 128, 170};
  for (uint32_t i = 0; i < 10; ++i) {
    cases.patients.push_back(i);
  }
  const std::vector<Measure> measures = CompareMeasurements(cases, {3, 12}, {});
  EXPECT_DOUBLE_EQ(Of(measures, "mae")->value, 3.8);  // 2 6 3 4 3 4 6 3 2 5
  EXPECT_DOUBLE_EQ(Of(measures, "rmse")->value, std::sqrt(16.4));
  EXPECT_DOUBLE_EQ(Of(measures, "bias")->value, -1);
  EXPECT_EQ(Of(measures, "bias")->method, "student");
  EXPECT_DOUBLE_EQ(Of(measures, "within_3")->value, 0.5);
  EXPECT_EQ(Of(measures, "within_3")->method, "wilson");
  EXPECT_DOUBLE_EQ(Of(measures, "within_12")->value, 1);
  EXPECT_LT(Of(measures, "within_12")->lower, 0.8);
  EXPECT_TRUE(Of(measures, "icc").ok());
  cases.patients[9] = 0;
  const std::vector<Measure> clustered = CompareMeasurements(cases, {3}, {});
  for (const Measure& measure : clustered) {
    if (measure.key == "icc") {
      EXPECT_EQ(measure.estimate.reason(), Reason::kNotMeasured);
      continue;
    }
    EXPECT_EQ(measure.estimate->method, "bootstrap_percentile") << measure.key;
    EXPECT_NEAR(measure.estimate->value, Of(measures, measure.key)->value, 1e-10) << measure.key;
    EXPECT_EQ(measure.estimate->n, 9u);
  }
  EXPECT_EQ(CompareMeasurements({{0}, {1}, {1}}, {}, {}).front().estimate.reason(), Reason::kTooFewPatients);
}

}  // namespace
}  // namespace cloister::eval
