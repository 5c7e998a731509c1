/// Overlap of a predicted text with its target (Lin 2004, "ROUGE: a package for automatic evaluation of summaries"),
/// equal to the Python package rouge-score 0.1.2 with its stemmer.
public enum Rouge {
  /// Each in 0...1.
  public struct Score: Equatable, Sendable {
    public let precision: Double
    public let recall: Double
    /// 2 P R / (P + R); 0 when both are 0.
    public let f1: Double

    init(matches: Int, predicted: Int, expected: Int) {
      precision = Double(matches) / Double(max(predicted, 1))
      recall = Double(matches) / Double(max(expected, 1))
      f1 = precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0
    }
  }

  /// ROUGE-1: tokens that both hold, each counted as often as in the text that has fewer of it.
  public static func unigrams(target: String, prediction: String) -> Score {
    let (expected, predicted) = (tokens(of: target), tokens(of: prediction))
    var remaining: [[UInt8]: Int] = [:]
    for token in expected { remaining[token, default: 0] += 1 }
    var matches = 0
    for token in predicted {
      guard let count = remaining[token], count > 0 else { continue }
      remaining[token] = count - 1
      matches += 1
    }
    return Score(matches: matches, predicted: predicted.count, expected: expected.count)
  }

  /// ROUGE-L: the longest common subsequence of the whole texts.
  public static func longestCommonSubsequence(target: String, prediction: String) -> Score {
    let (expected, predicted) = (tokens(of: target), tokens(of: prediction))
    var row = [Int](repeating: 0, count: predicted.count + 1)
    for token in expected {
      var diagonal = 0
      for index in predicted.indices {
        let above = row[index + 1]
        row[index + 1] = token == predicted[index] ? diagonal + 1 : max(above, row[index])
        diagonal = above
      }
    }
    return Score(matches: row[predicted.count], predicted: predicted.count, expected: expected.count)
  }

  /// Lower-cased runs of ASCII letters and digits, those longer than three characters stemmed.
  ///
  /// Of all other letters only two become ASCII in Python's `lower`: the dotted capital I (an i, then a combining dot,
  /// which separates) and the Kelvin sign.
  package static func tokens(of text: String) -> [[UInt8]] {
    let stemmer = PorterStemmer()
    var tokens: [[UInt8]] = []
    var token: [UInt8] = []
    func finish() {
      if !token.isEmpty { tokens.append(token.count > 3 ? stemmer.stem(token) : token) }
      token.removeAll(keepingCapacity: true)
    }
    for scalar in text.unicodeScalars {
      switch scalar {
      case "a"..."z", "0"..."9": token.append(UInt8(truncatingIfNeeded: scalar.value))
      case "A"..."Z": token.append(UInt8(truncatingIfNeeded: scalar.value + 32))
      case "\u{212A}": token.append(UInt8(ascii: "k"))
      case "\u{130}":
        token.append(UInt8(ascii: "i"))
        finish()
      default: finish()
      }
    }
    finish()
    return tokens.filter { !$0.isEmpty }
  }
}
