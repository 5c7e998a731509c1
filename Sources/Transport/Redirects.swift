package import Foundation

extension HTTPClient {
  /// As ``stream(_:accept:take:)``, following redirects of requests without a body.
  ///
  /// The header `Authorization` is dropped for good as soon as a redirect leaves the scheme, host and port it was meant for;
  /// from https to http none is followed.
  @discardableResult
  package func followingRedirects(
    _ request: HTTPRequest, accept: (HTTPResponse) throws -> Bool, take: (Data) throws -> Void
  ) throws -> HTTPResponse {
    precondition(request.body == nil, "redirects are followed without a body alone")
    var request = request
    for _ in 0..<8 {
      var target: URL?
      let response = try stream(request) { response in
        guard [301, 302, 303, 307, 308].contains(response.status) else { return try accept(response) }
        target = try Self.target(of: response, from: request.url)
        return false
      } take: {
        try take($0)
      }
      guard let next = target else { return response }
      if !Self.isSameOrigin(next, request.url) { request.headers["Authorization"] = nil }
      request.url = next
    }
    throw TransportError.tooManyRedirects(host: Self.name(of: request.url))
  }

  private static func target(of response: HTTPResponse, from url: URL) throws -> URL {
    let location = response.header("Location") ?? ""
    guard !location.isEmpty, let target = URL(string: location, relativeTo: url)?.absoluteURL,
      let scheme = target.scheme?.lowercased(), target.host?.isEmpty == false,
      scheme == "https" || (scheme == "http" && url.scheme?.lowercased() == "http")
    else {
      let shown = location.split(separator: "?").first.map { String($0.prefix(80)) } ?? ""
      throw TransportError.badRedirect(host: name(of: url), location: shown)
    }
    return target
  }

  static func isSameOrigin(_ first: URL, _ second: URL) -> Bool {
    func origin(_ url: URL) -> [String] {
      let scheme = url.scheme?.lowercased() ?? ""
      return [scheme, url.host?.lowercased() ?? "", "\(url.port ?? (scheme == "https" ? 443 : 80))"]
    }
    return origin(first) == origin(second)
  }
}
