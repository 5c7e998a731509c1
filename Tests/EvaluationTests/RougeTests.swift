import Evaluation
import Foundation
import Primitives
import TestSupport
import Testing

/// Values of rouge-score 0.1.2; see Goldens/README.md.
struct RougeTests {
  private struct Golden {
    let stems: [(word: String, stem: String)]
    let pairs: [(target: String, prediction: String, rouge1: [Double], rougeL: [Double])]

    init() throws {
      let url = Bundle.module.bundleURL.appendingPathComponent("Goldens/rouge.json")
      let value = try Data(contentsOf: url).withUnsafeBytes { try JSONParser.parse($0) }
      stems = try #require(value["stems"]?.stringValue).split(separator: " ").map {
        let parts = $0.split(separator: ":", omittingEmptySubsequences: false)
        return (String(parts[0]), String(parts[1]))
      }
      pairs = try #require(value["pairs"]?.arrayValue).map { pair in
        let parts = try #require(pair.arrayValue)
        let scores = parts[2...3].map { ($0.arrayValue ?? []).compactMap(\.doubleValue) }
        return (try #require(parts[0].stringValue), try #require(parts[1].stringValue), scores[0], scores[1])
      }
    }
  }

  @Test("stems equal NLTK's")
  func stems() throws {
    let golden = try Golden()
    #expect(golden.stems.count > 3000)
    let wrong = golden.stems.filter { PorterStemmer().stem($0.word) != $0.stem }
    #expect(wrong.isEmpty, "\(wrong.prefix(5))")
  }

  @Test("precision, recall and F1 equal rouge-score's")
  func scores() throws {
    let pairs = try Golden().pairs
    #expect(pairs.count == 200)
    for (index, pair) in pairs.enumerated() {
      let one = Rouge.unigrams(target: pair.target, prediction: pair.prediction)
      let longest = Rouge.longestCommonSubsequence(target: pair.target, prediction: pair.prediction)
      expectClose(
        [one.precision, one.recall, one.f1] + [longest.precision, longest.recall, longest.f1],
        pair.rouge1 + pair.rougeL,
        absolute: 1e-12, "pair \(index)")
    }
  }

  /// 2 of 3 predicted and 2 of 4 expected tokens match: F1 is 4/7.
  @Test func byHand() {
    let score = Rouge.unigrams(target: "the cats sat down", prediction: "The cat, the")
    expectClose([score.precision, score.recall, score.f1], [2.0 / 3, 0.5, 4.0 / 7], absolute: 1e-15)
  }
}
