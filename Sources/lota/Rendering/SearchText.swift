import Foundation
import Merging
import Reports

/// What a search has found.
struct SearchFigures: Encodable {
  let best: SearchRecord
  let candidates: Int
  let out: String?
  let adapterOut: String?
  let report: String

  func text(_ search: MergeSearch) -> String {
    let made = [out, adapterOut].compactMap { $0 }.map { "made     \($0)" }
    return
      ([
        "best     \(SearchText.settings(best, of: search)): \(SearchText.scores(best)), of \(candidates) candidates"
      ] + made + ["report   \(report)"]).joined(separator: "\n")
  }
}

enum SearchText {
  /// `[3 of 12] density 0.1, lambda 1.0: 1.2345 (math 1.3, sql 1.1), 4.2 s`
  static func line(_ record: SearchRecord, number: Int, of search: MergeSearch, isNew: Bool) -> String {
    let time = isNew ? NumberText.duration(record.mergeSeconds + record.scoreSeconds) : "known"
    return "[\(number) of \(search.candidates.count)] \(settings(record, of: search)): \(scores(record)), \(time)"
  }

  static func settings(_ record: SearchRecord, of search: MergeSearch) -> String {
    search.axes.map { "\($0.name) \(record.settings[$0.name] ?? .nan)" }.joined(separator: ", ")
  }

  static func scores(_ record: SearchRecord) -> String {
    func text(_ value: Double) -> String { String(format: "%.5f", value) }
    let mean = record.objective.map(text) ?? "not finite"
    guard record.scores.count > 1 else { return mean }
    let parts = record.scores.sorted { $0.key < $1.key }.map { "\($0.key) \(text($0.value))" }
    return "\(mean) (\(parts.joined(separator: ", ")))"
  }
}
