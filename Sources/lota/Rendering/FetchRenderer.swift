import Foundation
import Hub
import Reports

/// A fetch under way, on standard error.
final class FetchRenderer {
  private var shown = Date.distantPast

  func show(_ event: HubFetcher.Event) {
    switch event {
    case .listed(let files, let byteCount, let missing):
      Output.note("\(files) files, \(NumberText.bytes(byteCount)); to fetch: \(NumberText.bytes(missing))")
    case .progress(let file, let done, let total):
      // Not every few kilobytes.
      guard -shown.timeIntervalSinceNow > 0.1 || done == total else { return }
      shown = Date()
      Output.progress("\(file)  \(NumberText.bytes(done)) of \(NumberText.bytes(total))")
    case .waiting(let seconds, let reason): Output.note("\(reason); trying again in \(NumberText.duration(seconds))")
    case .waitingForLock(let file): Output.note("\(file): another process is fetching it; waiting")
    }
  }

  static func text(_ result: HubFetcher.Result) -> String {
    "\(result.directory): \(result.files.count) files, \(NumberText.bytes(result.bytes)), "
      + "of which \(NumberText.bytes(result.fetchedBytes)) fetched now"
  }
}
