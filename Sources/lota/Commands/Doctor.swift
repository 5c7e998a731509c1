import Adaptation
import ArgumentParser
import Foundation
import Reports
import Torch

struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "What is used, what is missing, and how to get it.", discussion: "Example: lota doctor")

  @Flag(help: "Print one JSON object.") var json = false

  func run() throws {
    let report = DoctorReport()
    if json { try Output.json(report) } else { Output.result(report.text) }
  }
}

struct DoctorReport: Encodable {
  let libtorch = Engine.version
  let torchDirectory: String?
  let instructionSet = Engine.cpuCapability
  let matrixLibrary = Engine.matrixLibrary
  let threads = Engine.threadCount
  let cores = ProcessInfo.processInfo.activeProcessorCount
  let memoryInBytes = Int(clamping: ProcessInfo.processInfo.physicalMemory)
  let devices: [String: Bool]
  /// Where libtorch's CUDA library lies; nil where there is none or it cannot be loaded.
  let cudaLibrary: String?
  /// Why the device `cuda` is missing; nil when it is there.
  let cudaProblem: String?
  let modelFetcher: Bool

  init() {
    torchDirectory = LibraryLocation.directory(ofLibraryNamed: "libtorch_cpu")
    devices = Dictionary(
      uniqueKeysWithValues: Device.Kind.allCases.map { ($0.rawValue, Device(kind: $0).isAvailable) })
    let isThere = devices[Device.Kind.cuda.rawValue] == true
    do {
      cudaLibrary = try Engine.cudaLibrary()
      cudaProblem = isThere ? nil : "the CUDA library is loaded but finds no GPU: check the driver with nvidia-smi"
    } catch {
      cudaLibrary = nil
      cudaProblem = isThere ? nil : Self.reason(error)
    }
    modelFetcher = QuickstartModel.fetchScript != nil
  }

  var text: String {
    var lines = [
      "libtorch     \(libtorch), \(torchDirectory ?? "place unknown")",
      "instructions \(instructionSet), matrix products by \(matrixLibrary)",
      "threads      \(threads) of \(cores) cores" + (threads < cores ? " (--threads \(cores) uses all)" : ""),
      "memory       \(NumberText.bytes(memoryInBytes))",
    ]
    for kind in Device.Kind.allCases {
      let isThere = devices[kind.rawValue] == true
      lines.append(kind.rawValue.rightPadded(to: 13) + (isThere ? "available" : advice(kind)))
    }
    lines.append(
      "quickstart   " + (modelFetcher ? "ready" : "start through ./lota in the repository: it fetches the model"))
    return lines.joined(separator: "\n")
  }

  private static func reason(_ error: any Error) -> String {
    guard case TorchError.notSupported(let message) = error else { return "\(error)" }
    return "\(message); set LOTA_TORCH to a CUDA build of libtorch (docs/gpu.md)"
  }

  private func advice(_ kind: Device.Kind) -> String {
    switch kind {
    case .cpu: "missing"
    case .cuda: "not available: \(cudaProblem ?? "")"
    case .mps: "not available: needs a Mac with Apple silicon"
    }
  }
}
