"""The ECS agent of a container instance: registers over the service link, runs tasks with crun.

`runtime` starts containers and network namespaces for it, as the first process of a PID
namespace, so that they end with the instance; `channel` speaks to ECS in threads of its own;
`agent` decides, in one thread; `network` knows the bridge that containers are behind.
"""
