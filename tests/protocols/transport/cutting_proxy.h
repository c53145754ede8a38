#pragma once
// SPDX-License-Identifier: Apache-2.0
// A TCP proxy that cuts each connection after a given number of bytes from the client (or to it): a bad network, by the
// byte.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "protocols/base/descriptor.h"

namespace cloister::testing {

class CuttingProxy {
 public:
  // `allowance()` gives the bytes that the next connection may carry, both ways together.
  CuttingProxy(int server_port, std::function<uint64_t()> allowance)
      : server_port_(server_port), allowance_(std::move(allowance)), listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = Loopback(0);
    bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address));
    listen(listener_.get(), 16);
    socklen_t length = sizeof(address);
    getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~CuttingProxy() {
    ending_ = true;
    thread_.join();
  }

  int port() const { return port_; }
  int cuts() const { return cuts_; }

 private:
  static sockaddr_in Loopback(int port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  static bool WaitReadable(int fd) {
    pollfd waiting = {fd, POLLIN, 0};
    return poll(&waiting, 1, 50) > 0;
  }

  // One connection after the other: a client of ours opens one at a time.
  void Run() {
    while (!ending_) {
      if (!WaitReadable(listener_.get())) {
        continue;
      }
      const Descriptor client(accept(listener_.get(), nullptr, nullptr));
      const Descriptor server(socket(AF_INET, SOCK_STREAM, 0));
      const sockaddr_in address = Loopback(server_port_);
      if (connect(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
        Carry(client.get(), server.get());
      }
    }
  }

  void Carry(int client, int server) {
    uint64_t left = allowance_();
    char buffer[16384];
    while (!ending_) {
      pollfd both[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
      poll(both, 2, 50);
      for (int side = 0; side < 2; ++side) {
        if (both[side].revents == 0) {
          continue;
        }
        const size_t most = left < sizeof(buffer) ? static_cast<size_t>(left) : sizeof(buffer);
        if (most == 0) {
          ++cuts_;
          return;
        }
        const ssize_t got = read(both[side].fd, buffer, most);
        if (got <= 0 || !WriteAll(both[1 - side].fd, {buffer, static_cast<size_t>(got)}, "socket").ok()) {
          return;
        }
        left -= static_cast<uint64_t>(got);
      }
    }
  }

  const int server_port_;
  const std::function<uint64_t()> allowance_;
  const Descriptor listener_;
  int port_ = 0;
  std::atomic<bool> ending_ = false;
  std::atomic<int> cuts_ = 0;
  std::thread thread_;
};

}  // namespace cloister::testing
